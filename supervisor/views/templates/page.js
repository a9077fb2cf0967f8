// Fetches the page again every second and puts what has changed in the place of what stands there.
"use strict";

const parts = ["head", "figures", "failures", "happenings", "foot"];

function put(old, fresh) {
  if (old && fresh && old.outerHTML !== fresh.outerHTML) old.replaceWith(fresh);
}

function putWorkers(fresh) {
  const here = document.querySelectorAll(".worker");
  const there = fresh.querySelectorAll(".worker");
  if (here.length !== there.length) {
    put(document.getElementById("workers"), fresh.getElementById("workers"));
    if (!there.length) document.querySelectorAll("#workers, #workers-title").forEach((part) => part.remove());
    return;
  }
  there.forEach((worker, index) => {
    // A picture that is still the same stays, so that it does not flicker.
    put(here[index].querySelector("figure"), worker.querySelector("figure"));
    put(here[index].querySelector("div"), worker.querySelector("div"));
  });
}

async function refresh() {
  const answer = await fetch("/", { cache: "no-store" });
  if (!answer.ok) throw new Error(answer.statusText);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) put(document.getElementById(part), fresh.getElementById(part));
  putWorkers(fresh);
  document.title = fresh.title;
}

async function drawTimeline() {
  const section = document.getElementById("timeline");
  const answer = await fetch(section.dataset.from, { cache: "no-store" });
  if (answer.ok) section.innerHTML = await answer.text();
}

async function again(work, pause) {
  let well = true;
  try {
    await work();
  } catch {
    well = false;
  }
  if (work === refresh) document.body.classList.toggle("lost", !well);
  setTimeout(() => again(work, pause), pause);
}

again(refresh, 1000);
again(drawTimeline, 20000);
