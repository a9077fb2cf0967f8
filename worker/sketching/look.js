// What a page shows of a login: its form, and what is called log in, log out, export. Never what somebody typed.
() => {
  const text = (value) => (value || "").replace(/\s+/g, " ").trim().slice(0, 80);
  const shown = (element) => !!(element.offsetWidth || element.offsetHeight || element.getClientRects().length);
  const quoted = (value) => JSON.stringify(value);
  const made = (value) => /\d{3,}|^:|[^\w-]|[0-9a-f]{8}/i.test(value);  // by a program, another one at the next visit
  const alone = (selector) => {
    try { return document.querySelectorAll(selector).length === 1; } catch { return false; }
  };
  const isButton = (element) => element.localName === "button"
    || (element.localName === "input" && /^(submit|button|image)$/.test(element.type))
    || element.getAttribute("role") === "button";
  const label = (element) => text(
    (element.labels && element.labels[0] && element.labels[0].innerText) || element.getAttribute("aria-label")
    || element.getAttribute("placeholder")
    || (isButton(element) && element.localName === "input" ? element.value : "")
    || (element.localName === "a" || isButton(element) ? element.innerText || element.textContent : "")
    || element.getAttribute("name") || "");

  const parts = (element) => {
    const tag = element.localName, found = [];
    if (element.id && !made(element.id)) found.push("#" + CSS.escape(element.id));
    for (const name of ["name", "data-testid", "data-test", "type", "href", "autocomplete", "aria-label"]) {
      const value = element.getAttribute(name);
      if (value && value.length < 80) found.push(`${tag}[${name}=${quoted(value)}]`);
    }
    for (const name of element.classList) if (!made(name)) found.push(`${tag}.${CSS.escape(name)}`);
    return [...found, tag];
  };
  const selector = (element) => {
    const own = parts(element);
    for (const part of own) if (alone(part)) return part;
    for (let above = element.parentElement; above && above !== document.body; above = above.parentElement) {
      for (const outer of parts(above)) for (const part of own) {
        if (alone(`${outer} ${part}`)) return `${outer} ${part}`;
      }
    }
    const tag = element.localName, said = label(element);
    const alike = [...document.querySelectorAll(tag)].filter((one) => text(one.innerText).includes(said));
    if (said && alike.length === 1 && alike[0] === element) return `${tag}:has-text(${quoted(said)})`;
    const steps = [];
    for (let one = element; one && one !== document.documentElement; one = one.parentElement) {
      steps.unshift(`${one.localName}:nth-child(${[...one.parentElement.children].indexOf(one) + 1})`);
    }
    return steps.join(" > ");
  };
  const control = (element) => ({
    selector: selector(element), label: label(element), href: element.localName === "a" ? element.href || "" : "",
    kind: element.localName === "a" ? "link" : isButton(element) ? "button"
      : element.localName === "input" ? element.type : element.localName,
  });

  const passwords = [...document.querySelectorAll("input[type=password i]")].filter(shown);
  const fieldsOf = (root) => [...root.querySelectorAll("input,select,textarea")]
    .filter((field) => shown(field) && !isButton(field) && field.type !== "hidden" && field.type !== "reset");
  // A form with one password is a login; one with two is where one registers.
  const around = (password) => {  // what is no form in HTML: the smallest part of the page with a field and a button
    for (let one = password.parentElement; one && one !== document.body; one = one.parentElement) {
      const fields = fieldsOf(one), buttons = [...one.querySelectorAll("button,input,[role=button]")].filter(isButton);
      if (fields.indexOf(password) > 0 && buttons.length) return one;
    }
    return document.body;
  };
  const rootOf = (password) => password.form || around(password);
  const countOf = (password) => rootOf(password).querySelectorAll("input[type=password i]").length;
  const password = [...passwords].sort((a, b) => countOf(a) - countOf(b))[0];
  let login = null;
  if (password) {
    const root = rootOf(password), fields = fieldsOf(root);
    const before = fields.slice(0, fields.indexOf(password))
      .filter((field) => ["text", "email", "tel", "number"].includes(field.type));
    const telling = before.filter((field) => /user|mail|login|name|benutz|konto|account|kennung/i
      .test([field.name, field.id, field.autocomplete, label(field)].join(" ")));
    const user = (telling.length ? telling : before).slice(-1)[0] || null;
    const buttons = [...root.querySelectorAll("button,input,[role=button]")].filter((b) => isButton(b) && shown(b));
    const named = buttons.filter((b) => /log.?in|sign.?in|anmeld|einlog|submit|continue|weiter|connexion|entrar|acced/i
      .test(label(b)));
    const typed = buttons.filter((b) => b.type === "submit");
    const submit = named.filter((b) => typed.includes(b))[0] || typed[0] || named[0] || buttons[0] || null;
    login = {
      password: control(password), user: user && control(user), submit: submit && control(submit),
      others: fields.filter((field) => field !== password && field !== user).slice(0, 8).map(control),
      captcha: !!document.querySelector("iframe[src*=captcha i],iframe[src*='challenges.cloudflare'],.g-recaptcha,.h-captcha"),
    };
  }

  const clickable = [...document.querySelectorAll("a[href],button,[role=button],input[type=submit],input[type=button]")]
    .filter(shown);
  const called = (words, target) => clickable.filter((element) => {
    const said = label(element);
    return (said.length < 40 && words.test(said))
      || (target && element.localName === "a" && target.test(new URL(element.href, location.href).pathname));
  });
  const out = /log.?out|sign.?out|log.?off|abmeld|auslog|ausloggen|d[eé]connexion|cerrar sesi|salir|esci|afmeld|uitlog/i;
  const entry = /log.?in\b|log.?on\b|sign.?in\b|anmeld|einlog|connexion|se connecter|iniciar sesi|acced|inlog|zaloguj/i;
  const list = /inventor|stock|vehicle|fahrzeug|bestand|catalog|items|products|documents|invoices|artikel|liste?\b/i;
  return {
    title: text(document.title), login,
    entries: called(entry, /log-?in|sign-?in|anmeld|\/auth/i).filter((e) => !out.test(label(e))).slice(0, 5).map(control),
    ways_out: called(out, /log-?out|sign-?out/i).slice(0, 3).map(control),
    exports: called(/export|\bcsv\b|excel|xlsx|herunterladen/i, /export|\.csv$|\.xlsx?$/i).slice(0, 5).map(control),
    lists: called(list, null).filter((e) => e.localName === "a").slice(0, 5).map(control),
  };
}
