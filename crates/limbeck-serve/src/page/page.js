// Asks the server, and shows each answer in its place in the text.
"use strict";

/** Where the server is: the folder of this script, whatever path a proxy shows it under. */
const BASE = new URL(".", document.currentScript.src);

const byId = (id) => document.getElementById(id);

const EXAMPLE = {
  context:
    "The limbeck, or alembic, is a vessel for distilling: what is heated in its body rises as " +
    "vapour into the head and runs down the beak into a flask, clearer and stronger than " +
    "before. Alchemists in Alexandria used it in the third century. Maria the Jewess is said " +
    "to have built the first one with three beaks, and Jabir ibn Hayyan improved it in the " +
    "eighth century. Potters made it of clay, later workshops of copper and glass. Today it " +
    "still makes brandy in the Charente and rose water in Grasse.",
  question: "Who improved the alembic?",
};

/** What the server serves, once `/info` has said it. */
let info = { models: [], needs_key: false };

/** Whether an answer is awaited. */
let busy = false;

async function start() {
  try {
    const response = await fetch(new URL("info", BASE));
    if (!response.ok) throw new Error();
    info = await response.json();
    info.models = info.models.filter(({ task }) => task === "answer");
  } catch {
    say("The server cannot be reached.", true);
    return;
  }
  const names = info.models.map((model) => model.name);
  const described = info.models.map((model) => {
    const millions = (model.parameters / 1e6).toFixed(1);
    return `${model.name} (${millions} M${model.quantized ? ", int8" : ""})`;
  });
  fill(byId("model"), names, described);
  fill(byId("compare"), ["", ...names], ["nothing", ...described]);
  byId("compare-field").hidden = names.length < 2;
  byId("key-field").hidden = !info.needs_key;
  byId("key").value = sessionStorage.getItem("key") ?? "";
  matchModel();
  if (names.length === 0) {
    byId("ask").disabled = true;
    say("No model here answers questions; see the API for classifiers.", true);
  }
}

function fill(select, values, texts) {
  select.replaceChildren(...values.map((value, index) => new Option(texts[index], value)));
}

/** Ticks "may not say" where the chosen model has learnt to say so, and offers its plans. */
function matchModel() {
  const model = info.models.find(({ name }) => name === byId("model").value);
  byId("no-answer").checked = model?.allow_no_answer ?? false;
  const plans = model?.length_plans ?? [];
  const options = plans.map(({ name, f1, share_of_macs: share }) => {
    const known = [];
    if (share !== undefined) known.push(`${(100 * share).toFixed(0)} %`);
    if (f1 !== undefined) known.push(`F1 ${f1.toFixed(1)}`);
    const option = new Option(known.length === 0 ? name : `${name} (${known.join(", ")})`, name);
    option.dataset.plan = "";
    return option;
  });
  byId("plans").hidden = options.length === 0;
  byId("plans").replaceChildren(...options);
}

/** The part of a request that says how many tokens go on. */
function chosenLength() {
  const [chosen] = byId("length").selectedOptions;
  if (chosen === undefined || chosen.value === "") return {};
  return "plan" in chosen.dataset ? { lengths: chosen.value } : { budget: Number(chosen.value) };
}

function say(text, isError = false) {
  const status = byId("status");
  status.textContent = text;
  status.classList.toggle("error", isError);
}

function setBusy(is) {
  busy = is;
  byId("ask").setAttribute("aria-disabled", String(is));
}

async function ask(event) {
  event.preventDefault();
  const context = byId("context").value;
  const question = byId("question").value;
  const models = [byId("model").value];
  const other = byId("compare").value;
  if (other !== "") models.push(other);
  if (busy) return;
  // Not `disabled`, which would take the focus away.
  setBusy(true);
  say("Asking …");
  try {
    const answers = [];
    // One after the other: side by side they would share the machine and their times mean little.
    for (const model of models) answers.push(await answer({ question, context, model }));
    show(context, answers);
    const texts = answers.map(({ answer }) => answer || "no answer");
    say(texts.length === 1 ? `Answer: ${texts[0]}` : `Answers: ${texts.join("; ")}`);
  } catch (error) {
    say(error.message, true);
  } finally {
    setBusy(false);
  }
}

async function answer(asked) {
  const headers = { "Content-Type": "application/json" };
  const key = byId("key").value;
  if (key !== "") {
    headers.Authorization = `Bearer ${key}`;
    sessionStorage.setItem("key", key);
  }
  const body = JSON.stringify({
    ...asked,
    allow_no_answer: byId("no-answer").checked,
    ...chosenLength(),
  });
  const begun = performance.now();
  let response;
  try {
    response = await fetch(new URL("v1/answer", BASE), { method: "POST", headers, body });
  } catch {
    throw new Error("The server cannot be reached.");
  }
  const result = await response.json().catch(() => ({}));
  if (!response.ok) {
    const wait = response.headers.get("retry-after");
    const error = result.error ?? `The server says ${response.status}.`;
    throw new Error(wait === null ? error : `${error} (${wait} s)`);
  }
  return { ...result, seen_ms: performance.now() - begun };
}

function show(context, answers) {
  const points = Array.from(context); // Offsets count code points.
  byId("results").replaceChildren(...answers.map((result) => section(points, result)));
}

function section(points, result) {
  const part = byId("result").content.cloneNode(true).querySelector("section");
  const { model, usage, timing } = result;
  part.querySelector("h2").textContent = model;
  const percent = (probability) => `${(100 * probability).toFixed(1)} %`;
  const text = part.querySelector(".text");
  const select = (candidate) => {
    part.querySelector(".answer").textContent = candidate.text || "The text does not say.";
    mark(text, points, candidate);
    for (const button of part.querySelectorAll(".candidates button")) {
      button.setAttribute("aria-pressed", String(button.candidate === candidate));
    }
  };
  const items = result.n_best.map((candidate) => {
    const button = document.createElement("button");
    button.type = "button";
    button.candidate = candidate;
    const name = document.createElement("span");
    name.textContent = candidate.text || "no answer";
    const share = document.createElement("span");
    share.className = "share";
    share.textContent = percent(candidate.probability);
    const bar = document.createElement("meter");
    bar.max = 1;
    bar.value = candidate.probability;
    bar.setAttribute("aria-hidden", "true");
    button.append(name, share, bar);
    button.addEventListener("click", () => select(candidate));
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  part.querySelector(".candidates").replaceChildren(...items);
  const windows = usage.windows === 1 ? "1 window" : `${usage.windows} windows`;
  part.querySelector(".cost").textContent =
    `${percent(result.score)} · ${timing.total_ms.toFixed(1)} ms in the server, ` +
    `${result.seen_ms.toFixed(0)} ms seen here · ${usage.tokens} tokens in ${windows}`;
  const chosen = result.n_best.find(
    (candidate) => candidate.text === result.answer && candidate.start === result.start,
  );
  select(chosen ?? { text: result.answer, start: result.start, end: result.end });
  return part;
}

/** Writes the text with the candidate marked, and scrolls there. */
function mark(element, points, { text, start, end }) {
  const piece = (from, to) => points.slice(from, to).join("");
  if (text === "") {
    element.textContent = points.join("");
    return;
  }
  const marked = document.createElement("mark");
  marked.textContent = piece(start, end);
  element.replaceChildren(piece(0, start), marked, piece(end));
  // Inside the box only; the page stays where it is.
  requestAnimationFrame(() => {
    element.scrollTop = marked.offsetTop - element.offsetTop - element.clientHeight / 3;
  });
}

async function load(file) {
  if (!file) return;
  const limit = info.limits?.max_body_bytes ?? Infinity;
  if (file.size > limit) {
    say(`${file.name} has ${file.size} bytes; the server takes ${limit}.`, true);
    return;
  }
  try {
    byId("context").value = await file.text();
    say(`${file.name} is loaded.`);
  } catch {
    say(`${file.name} cannot be read.`, true);
  }
}

byId("form").addEventListener("submit", ask);
byId("model").addEventListener("change", matchModel);
byId("file").addEventListener("change", async (event) => {
  await load(event.target.files[0]);
  event.target.value = ""; // So that the same file can be loaded again.
});
byId("context").addEventListener("dragover", (event) => event.preventDefault());
byId("context").addEventListener("drop", (event) => {
  if (event.dataTransfer.files.length === 0) return;
  event.preventDefault();
  load(event.dataTransfer.files[0]);
});
byId("context").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("form").requestSubmit();
});
byId("example").addEventListener("click", () => {
  byId("context").value = EXAMPLE.context;
  byId("question").value = EXAMPLE.question;
  byId("question").focus();
});
start();
