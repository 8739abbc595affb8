// The page: settings and their address, the calls of the Go program, the training loop.

import { drawLoss, drawNetwork, drawNorms, drawPlane, inputNames, place, readTheme } from "./draw.js";
import { number, short } from "./format.js";
import { showSteps } from "./steps.js";

const $ = (id) => document.getElementById(id);
const form = $("settings");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let session, frame; // what began the training, and what it is now
let history = []; // epoch, training loss, test loss
let start, range; // the gradient's norms at the beginning, and the powers of ten seen
let selected = null; // a unit: its column and its number there
let running = null; // the loop that trains
let training = 0; // counts beginnings, so that what belongs to an earlier one is not shown

// The calls of the Go program, which answers from its worker in their order.

let worker, waiting;

function startWorker() {
  worker = new Worker("worker.js", { type: "module" });
  waiting = new Map();
  worker.onmessage = ({ data }) => {
    if (data.died) return restartWorker(data.died);
    waiting.get(data.id)?.(data.result);
    waiting.delete(data.id);
  };
  worker.onerror = (event) => restartWorker(event.message || "The worker cannot be loaded.");
}

function call(name, ...args) {
  return new Promise((resolve) => {
    const id = ++call.id;
    waiting.set(id, resolve);
    worker.postMessage({ id, name, args });
  });
}
call.id = 0;

// restartWorker gives up what was waited for. Where a training had begun, it begins again.
function restartWorker(why) {
  worker.terminate();
  if (session) pause();
  const says = `${why} ${session ? "The training begins again." : "Reload the page to try again."}`;
  alertOf(says);
  if (!session) return;
  const settings = session.settings;
  session = undefined;
  startWorker();
  begin(settings, says + " ");
}

// Settings: the form, which says what they may be, and the address.

const display = ["speed", "lines", "test", "bands"]; // what only the page knows
const standards = (form.reset(), readForm()); // the settings of an address without any

function readForm() {
  const settings = Object.fromEntries(new FormData(form));
  settings.features = [...form.querySelectorAll("[name=features]:checked")].map((box) => box.value).join(",") || "none";
  return settings;
}

// fillForm uses the settings that are given, and tells which of them cannot be used.
function fillForm(given) {
  const told = [];
  for (const [name, standard] of Object.entries(standards)) {
    const text = given[name]?.replaceAll(" ", "") || standard, control = form.elements[name];
    if (use(name, text)) continue;
    use(name, standard);
    const { min, max } = bounds(control), kind = control.type === "number" ? "whole number" : "number";
    const want = max ? `a ${kind} from ${min} to ${max}` : control.title || "what the page offers";
    told.push(`${name} is “${text.slice(0, 30)}”, want ${want}; it is ${standard} now.`);
  }
  $("depth").value = layersOf(form.elements.layers.value).length;
  return told.join(" ");
}

// bounds are the least and the most of a number. Number fields, the whole ones, have attributes for it.
const bounds = (control) => (control.type === "number" ? control : control.dataset ?? {});

// use changes a setting, and tells whether it may be that.
function use(name, text) {
  const control = form.elements[name], { min, max } = bounds(control), parts = text.split(","), v = Number(text);
  if (name === "features") {
    for (const box of control) box.checked = parts.includes(box.value);
    return [...control].filter((box) => box.checked).length === parts.length;
  }
  control.value = max ? v : text; // 16 for 0x10
  if (name === "norm") form.elements.batch.min = text === "batch" ? 2 : 1; // a variance is of two samples or more
  if (max) return v >= min && v <= max && (control.type !== "number" || Number.isInteger(v));
  return control.value === text && control.checkValidity() && (name !== "layers" || layersOf(text).length <= 50);
}

// layersOf are the units of the layers in "8,4" or, for 30 layers of 8 units, "30x8".
function layersOf(text) {
  if (text === "none") return [];
  return text.split(",").flatMap((part) => {
    const [units, times = 1] = part.split("x").map(Number).reverse();
    return Array(times).fill(units);
  });
}

const readAddress = (hash) => Object.fromEntries(new URLSearchParams(hash.slice(1)));

function readDisplay(address) {
  $("speed").value = ["0", "10", "1000"].includes(address.speed) ? address.speed : "1";
  const lines = address.lines === "gradient" ? "gradient" : "weights";
  document.querySelector(`[name=lines][value=${lines}]`).checked = true;
  for (const name of ["test", "bands"]) $(name).checked = address[name] === "on";
}

const shownLines = () => document.querySelector("[name=lines]:checked").value;

function writeAddress() {
  const address = new URLSearchParams();
  for (const { name } of form.elements) { // in the order of the page
    if (name && session.settings[name] !== standards[name]) address.set(name, session.settings[name]);
  }
  if ($("speed").value !== "1") address.set("speed", $("speed").value);
  if (shownLines() !== "weights") address.set("lines", shownLines());
  for (const name of ["test", "bands"]) if ($(name).checked) address.set(name, "on");
  const text = address.toString().replaceAll("%2C", ",");
  if (!$("play").hidden) window.history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  $("to-play").hash = text;
  for (const link of document.querySelectorAll(".presets a")) {
    const same = Object.entries({ ...standards, ...readAddress(link.hash) }).every(([name, value]) => session.settings[name] === value);
    link.ariaCurrent = same ? "true" : null;
  }
  $("says").textContent = document.querySelector(".presets [aria-current]")?.dataset.says || "";
}

// begin begins a training with the settings given.
async function begin(given, trouble = "") {
  const mine = ++training, told = fillForm(given), settings = readForm();
  const result = await call("begin", ...Object.entries({ ...settings, layers: layersOf(settings.layers).join(" ") }).flat());
  if (mine !== training) return;
  if (!result.blocks) return alertOf(result.error);
  const counts = [result.blocks[0].inputs, ...result.blocks.map((block) => block.units)];
  session = { ...result, counts, settings, regression: ["plane", "multigauss"].includes(settings.data) };
  history = [];
  start = range = undefined;
  selected = null;
  writeAddress();
  accept(result);
  alertOf(trouble + told);
  $("checked").textContent = "Compares every derivative with a central difference.";
  drawResizers();
  draw();
  performance.mark("first-frame");
  for (const id of ["run", "step", "restart", "check"]) $(id).disabled = false;
  $("network").ariaLabel = `Network ${counts.join("-")}. Arrow keys move to a unit.`;
  announce(`New network with ${session.blocks.at(-1).end} parameters.`);
}

// accept takes a frame, which may have no maps of its own.
function accept({ frame: floats, maps = frame.maps }) {
  const [epoch, train, test] = floats, params = 3 + session.blocks.length, grads = params + session.blocks.at(-1).end;
  frame = {
    epoch, train, test, maps,
    norms: floats.subarray(3, params), params: floats.subarray(params, grads), grads: floats.subarray(grads),
  };
  if (history.at(-1)?.[0] === frame.epoch) history.pop();
  history.push([frame.epoch, frame.train, frame.test]);
  if (history.length > 800) history = history.filter((_, i) => i % 2 === 0 || i === history.length - 1);
  const seen = [...frame.norms].filter((norm) => norm > 0 && norm < Infinity).map(Math.log10);
  start ??= [...frame.norms];
  range ??= { low: Infinity, high: -Infinity };
  const high = Math.max(range.high, Math.ceil(Math.max(...seen)));
  range = seen.length ? { high, low: Math.min(range.low, Math.floor(Math.min(...seen)), high - 2) } : range;
  if (range.low === Infinity) range = { low: -2, high: 0 };
}

// The training loop. The next frame is computed while this one is drawn.

async function train() {
  const loop = (running = {});
  $("run").textContent = "Pause";
  announce("Training.");
  let spoken = performance.now(), drawn = 0, frames = 0;
  const advance = () => {
    const resting = session.side < 50 && frames++ % 4 > 0; // the maps of a large network, which take long
    return { mine: training, result: Promise.all([call("advance", Number($("speed").value), 24), resting ? {} : call("maps")]) };
  };
  let next = advance();
  while (running === loop) {
    const { mine } = next, result = Object.assign(...await next.result);
    if (running !== loop) break;
    next = advance();
    if (mine !== training) continue;
    take(result);
    const now = performance.now();
    if (calm.matches && now - drawn < 500) continue;
    await new Promise(requestAnimationFrame);
    drawn = performance.now();
    draw();
    if (now - spoken > 20000) {
      announce(`Epoch ${Math.floor(frame.epoch)}, training loss ${number(frame.train)}, test loss ${number(frame.test)}.`);
      spoken = now;
    }
  }
  if (!running) refresh();
}

// refresh draws the maps too, which may be older than the rest.
async function refresh() {
  const mine = training, { maps } = await call("maps");
  if (mine === training && maps) frame.maps = maps;
  draw();
}

function take(result) {
  if (result.frame) accept(result);
  if (!result.error) return;
  alertOf(result.error);
  pause();
}

function pause() {
  if (running) announce(`Paused in epoch ${Math.floor(frame.epoch)}, training loss ${number(frame.train)}, test loss ${number(frame.test)}.`);
  running = null;
  $("run").textContent = "Train";
}

async function oneBatch() {
  pause();
  const mine = training, result = await call("advance", 0, 0);
  if (mine !== training) return;
  alertOf("");
  take(result);
  await refresh();
  announce(`Training loss ${number(frame.train, 4)}.`);
}

async function check() {
  const mine = training;
  pause();
  $("check").disabled = true;
  $("checked").textContent = "Computing four losses for each parameter …";
  const result = await call("check");
  $("check").disabled = false;
  if (mine === training) $("checked").textContent = result.error || result.says;
}

const announce = (text) => ($("live").textContent = text);

function alertOf(text) {
  $("alert").hidden = !text;
  $("alert").textContent = text;
}

// What is shown.

function draw() {
  if (!session || !$("plane").clientWidth) return;
  drawNetwork($("network"), session, frame, { lines: shownLines(), selected });
  drawNorms($("norms"), session, frame, start, range);
  drawPlane($("plane"), session, frame, { test: $("test").checked, bands: $("bands").checked, selected });
  drawLoss($("loss"), history);
  $("epoch").textContent = frame.epoch.toFixed(Number.isInteger(frame.epoch) ? 0 : 2);
  $("train-loss").textContent = number(frame.train, 4);
  $("test-loss").textContent = number(frame.test, 4);
  $("flow").textContent = sayFlow();
  $("unit").textContent = sayUnit();
  const inside = selected && selected.column < session.blocks.length;
  $("output-title").textContent = inside ? unitName(selected) : "Output";
  $("most").textContent = inside && selected.column === 0 ? "6" : "1";
  $("least").textContent = inside || session.regression ? "−" + $("most").textContent : "0";
}

// sayFlow says how the gradient comes through.
function sayFlow() {
  const first = frame.norms[0], last = frame.norms.at(-1), ratio = first / last;
  if (frame.norms.some((norm) => !Number.isFinite(norm))) return "The gradient is not finite.";
  const sizes = `${short(first)} in layer 1, ${short(last)} in the last.`;
  if (frame.norms.length < 2) return `The norm is ${short(first)}.`;
  if (ratio < 1e-3) return `${sizes} The gradient vanishes on its way back: layer 1 gets ${short(ratio)} of what the last layer gets.`;
  if (ratio > 1e3) return `${sizes} The gradient explodes on its way back: layer 1 gets ${short(ratio)} times what the last layer gets.`;
  return `${sizes} The dashed line is the beginning of this training.`;
}

function unitName({ column, unit }) {
  if (column === 0) return `Input ${inputNames(session)[unit]}`;
  return column === session.blocks.length ? "The output" : `Layer ${column}, unit ${unit + 1}`;
}

function sayUnit() {
  if (!selected) return "Point at a unit, or move to it by the arrow keys, to see what it does.";
  const { column, unit } = selected;
  if (column === 0) return `${unitName(selected)}: what the network is given, over the plane.`;
  const block = session.blocks[column - 1];
  const from = block.at + unit * block.inputs;
  const list = (values) => {
    const row = [...values.subarray(from, from + block.inputs)];
    return row.slice(0, 4).map((v) => short(v)).join(", ") + (row.length > 4 ? ", …" : "");
  };
  return `${unitName(selected)}: its weights w = (${list(frame.params)}), and their gradient ∂L/∂w = (${list(frame.grads)}).`;
}

// drawResizers puts buttons for one unit more or fewer above each layer, where there is room.
function drawResizers() {
  const layers = session.counts.slice(1, -1);
  const { x } = place(session, $("network").clientWidth, $("network").clientHeight);
  const room = layers.length > 0 && x[1] - x[0] >= 58;
  const button = (k, change, sign) => {
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = sign;
    b.ariaLabel = `${change > 0 ? "One unit more" : "One unit fewer"} in layer ${k + 1}, which has ${layers[k]}`;
    b.dataset.key = `${k}${sign}`;
    b.onclick = async () => {
      await begin({ ...session.settings, layers: layers.with(k, layers[k] + change).join(",") });
      document.querySelector(`[data-key="${k}${sign}"]`)?.focus();
    };
    b.disabled = layers[k] + change < 1 || layers[k] + change > 16;
    return b;
  };
  $("resizers").replaceChildren(...(room ? layers : []).map((units, k) => {
    const group = document.createElement("div");
    group.style.left = `${x[k + 1]}px`;
    group.append(button(k, -1, "−"), String(units), button(k, 1, "+"));
    return group;
  }));
}

// changeDepth adds layers like the last one, or takes away from the end.
function changeDepth(depth) {
  const layers = session.counts.slice(1, -1);
  depth = Math.max(0, Math.min(50, Math.round(depth) || 0));
  const last = layers.at(-1) || 8;
  const next = Array.from({ length: depth }, (_, k) => layers[k] || last);
  const uniform = depth > 4 && next.every((units) => units === last);
  begin({ ...session.settings, layers: uniform ? `${depth}x${last}` : next.join(",") || "none" });
}

// select chooses a unit by its column and its number there.
function select(column, unit) {
  const { counts } = session;
  column = Math.max(0, Math.min(counts.length - 1, column));
  unit = Math.max(0, Math.min(counts[column] - 1, unit));
  selected = { column, unit };
  draw();
}

function deselect() {
  selected = null;
  draw();
}

function unitAt(event) {
  const canvas = $("network"), { x, y, size } = place(session, canvas.clientWidth, canvas.clientHeight);
  const reach = size / 2 + 2;
  const column = x.findIndex((v) => Math.abs(v - event.offsetX) <= reach);
  const unit = column < 0 ? -1 : y[column].findIndex((v) => Math.abs(v - event.offsetY) <= reach);
  return unit < 0 ? null : { column, unit };
}

function onPoint(event) {
  if (!session) return;
  const at = unitAt(event);
  if (at) select(at.column, at.unit);
  else if (selected) deselect();
}

function onArrow(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key === "Escape" && selected) return deselect();
  if (!moves[event.key] || !session) return;
  event.preventDefault();
  if (selected) select(selected.column + moves[event.key][0], selected.unit + moves[event.key][1]);
  else select(1, 0);
  announce(sayUnit());
}

// onKey takes the keys of the footer, but not from who writes.
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox], [type=radio]), select")) return;
  const button = { t: "run", b: "step", r: "restart" }[event.key.toLowerCase()];
  if (button && !$("play").hidden) $(button).click();
}

// route shows the view of an address.
function route(hash) {
  const address = readAddress(hash), steps = address.view === "steps";
  $("play").hidden = steps;
  $("steps").hidden = !steps;
  for (const [id, current] of [["to-play", !steps], ["to-steps", steps]]) {
    $(id).ariaCurrent = current ? "page" : null;
  }
  pause();
  if (steps) return showSteps($("steps"), call, announce);
  readDisplay(address);
  begin(address);
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  if (event.target.id === "depth") changeDepth(event.target.valueAsNumber);
  else begin(readForm());
});
$("shallower").onclick = () => changeDepth(session.blocks.length - 2);
$("deeper").onclick = () => changeDepth(session.blocks.length);
$("run").onclick = () => (running ? pause() : (alertOf(""), train()));
$("step").onclick = oneBatch;
$("restart").onclick = () => begin(session.settings);
$("check").onclick = check;
for (const name of display) {
  for (const control of document.querySelectorAll(`[name=${name}]`)) {
    control.addEventListener("change", () => (writeAddress(), draw()));
  }
}
$("network").addEventListener("pointermove", onPoint);
$("network").addEventListener("pointerdown", onPoint);
$("network").addEventListener("pointerleave", deselect);
$("network").addEventListener("keydown", onArrow);
$("network").addEventListener("blur", deselect);
$("skip").onclick = (event) => (event.preventDefault(), $("main").focus());
addEventListener("keydown", onKey);
addEventListener("hashchange", (event) => route(new URL(event.newURL).hash)); // begin may have rewritten location's
new ResizeObserver(() => session && (drawResizers(), draw())).observe($("network"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (readTheme(), draw()));

readTheme();
startWorker();
route(location.hash);
