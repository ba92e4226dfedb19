"use strict";
// The token stands behind the #, which no browser sends; it leaves the address bar at once.
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
history.replaceState(null, "", location.pathname);
const form = document.getElementById("form");
const said = document.getElementById("said");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [user, password] = [form.user.value, form.password.value];
  const button = form.querySelector("button");
  button.disabled = true;
  said.textContent = "";
  try {
    const answer = await fetch("/api/v1/setup", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, user, password }),
    });
    const body = await answer.json();
    if (answer.ok) {
      form.remove();
      said.textContent = `${body.user} is an owner now, and signed in here.`;
      return;
    }
    said.textContent = body.detail;
  } catch (error) {
    said.textContent = `The server does not answer: ${error.message}`;
  }
  button.disabled = false;
});
