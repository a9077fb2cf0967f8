// Buttons with a path fetch their document and save it as a blob, as many inventory systems do.
for (const button of document.querySelectorAll("button[data-path]")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const answer = await fetch(button.dataset.path, { method: "POST", headers: { "X-Token": button.dataset.token } });
      if (answer.redirected) {
        location = answer.url;
        return;
      }
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = button.dataset.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      button.disabled = false;
    } catch (error) {
      button.textContent = "Download failed";
    }
  });
}
