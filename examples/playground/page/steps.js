// One step of gradient descent by its numbers. The Go program computes them all; what is here says
// how each follows from others.

import { number } from "./format.js";

// An equation gives the matrix named first from the others. How says it of one element, as terms to
// be added, each of them elements to be multiplied, and what is done to the sum.
const affine = (x, w, b) => ({ terms: (i, j, of) => [...of(x, i).map((_, k) => [[x, i, k], [w, j, k]]), [[b, j, 0]]] });
const map = (z, f) => ({ terms: (i, j) => [[[z, i, j]]], f });
const chain = (da, z, f) => ({ terms: (i, j) => [[[da, i, j], [z, i, j, f]]] });
const weights = (dz, x) => ({ terms: (i, j) => [0, 1, 2, 3].map((n) => [[dz, n, i], [x, n, j]]) });
const biases = (dz) => ({ terms: (i) => [0, 1, 2, 3].map((n) => [[dz, n, i]]) });
const inputs = (dz, w) => ({ terms: (i, j, of) => of(dz, i).map((_, k) => [[dz, i, k], [w, k, j]]) });
const update = (w, dw) => ({ terms: (i, j) => [[[w, i, j]], ["−η", [dw, i, j]]] });
const loss = { says: () => "The mean over the four rows of −y·log a − (1−y)·log(1−a)." };
const lossGradient = { says: () => "The derivative of the mean: (a − y) / (a·(1−a)) / 4." };

const stages = [
  ["Forward", "The four rows of X go through both layers.", [
    ["Z₁ = X·W₁ᵀ + 1·b₁ᵀ", "Z1", ["X", "W1", "b1"], affine("X", "W1", "b1")],
    ["A₁ = tanh(Z₁)", "A1", ["Z1"], map("Z1", "tanh")],
  ], [
    ["Z₂ = A₁·W₂ᵀ + 1·b₂ᵀ", "Z2", ["A1", "W2", "b2"], affine("A1", "W2", "b2")],
    ["A₂ = σ(Z₂)", "A2", ["Z2"], map("Z2", "σ")],
  ]],
  ["Loss", "How far the output is from the targets, and how that changes with the output.", [
    ["L = L(A₂, Y)", "L", ["A2", "Y"], loss],
  ], [
    ["dA₂ = ∂L/∂A₂", "dA2", ["A2", "Y"], lossGradient],
  ]],
  ["Backward", "From the last layer to the first. dZ, dW … are the derivatives of L by Z, W …", [
    ["dZ₁ = dA₁ ⊙ tanh′(Z₁)", "dZ1", ["dA1", "Z1"], chain("dA1", "Z1", "tanh′")],
    ["dW₁ = dZ₁ᵀ·X", "dW1", ["dZ1", "X"], weights("dZ1", "X")],
    ["db₁ = dZ₁ᵀ·1", "db1", ["dZ1"], biases("dZ1")],
  ], [
    ["dZ₂ = dA₂ ⊙ σ′(Z₂)", "dZ2", ["dA2", "Z2"], chain("dA2", "Z2", "σ′")],
    ["dW₂ = dZ₂ᵀ·A₁", "dW2", ["dZ2", "A1"], weights("dZ2", "A1")],
    ["db₂ = dZ₂ᵀ·1", "db2", ["dZ2"], biases("dZ2")],
    ["dA₁ = dZ₂·W₂", "dA1", ["dZ2", "W2"], inputs("dZ2", "W2")],
  ]],
  ["Update", "θ ← θ − η·∂L/∂θ: every parameter goes a little against its derivative.", [
    ["W₁ ← W₁ − η·dW₁", "W1+", ["W1", "dW1"], update("W1", "dW1")],
    ["b₁ ← b₁ − η·db₁", "b1+", ["b1", "db1"], update("b1", "db1")],
  ], [
    ["W₂ ← W₂ − η·dW₂", "W2+", ["W2", "dW2"], update("W2", "dW2")],
    ["b₂ ← b₂ − η·db₂", "b2+", ["b2", "db2"], update("b2", "db2")],
  ]],
];

const written = (name) => name.replace("1", "₁").replace("2", "₂").replace("+", " after");

function element(tag, content, properties = {}) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...[content].flat());
  return e;
}

let taken = 0, stage = 0, numbers; // steps before this one, its stage that is shown last, and what is in it

const at = ([name, i, j]) => numbers[name][2 + i * numbers[name][1] + j];

// table is a matrix; onCell, of a result, is told which element is asked for.
function table(name, onCell) {
  const [rows, columns] = numbers[name], whole = name === "X" || name === "Y";
  const t = element("table", element("caption", `${written(name)}  ${rows}×${columns}`));
  for (let i = 0; i < rows; i++) {
    t.append(element("tr", Array.from({ length: columns }, (_, j) => {
      const v = at([name, i, j]), text = number(v, whole ? 0 : 3);
      const label = `${written(name)}, row ${i + 1}, column ${j + 1}: ${text}`;
      const cell = element("td", onCell ? element("button", text, { type: "button", ariaLabel: label, onclick: () => onCell(i, j) }) : text);
      Object.assign(cell.dataset, { name, i, j });
      cell.style.background = `color-mix(in srgb, var(--${v > 0 ? "positive" : "negative"}) ${Math.round(65 * Math.min(1, Math.abs(v)))}%, transparent)`;
      return cell;
    })));
  }
  return element("div", t, { className: "matrix" });
}

// spell writes an element of a result out, and marks what it is made of.
function spell(box, output, name, how, i, j) {
  const of = (matrix, row) => Array.from({ length: numbers[matrix][1] }, (_, k) => at([matrix, row, k]));
  const terms = how.terms?.(i, j, of) ?? [];
  const term = (factors) => factors.map((f) => {
    if (typeof f === "string") return f;
    const v = number(at(f));
    return f[3] ? `${f[3]}(${v})` : v.startsWith("−") && factors.length > 1 ? `(${v})` : v;
  }).join("·");
  const sum = terms.map(term).join(" + ").replaceAll("+ −", "− ");
  const says = how.says ? how.says() : `${how.f ? how.f + "(" : ""}${sum}${how.f ? ")" : ""} = ${number(at([name, i, j]))}`;
  output.textContent = `${written(name)}, row ${i + 1}, column ${j + 1}: ${says}`;
  for (const cell of document.querySelectorAll("#steps td.marked")) cell.classList.remove("marked");
  for (const [matrix, row, column] of [[name, i, j], ...terms.flat().filter(Array.isArray)]) {
    box.querySelector(`td[data-name="${matrix}"][data-i="${row}"][data-j="${column}"]`)?.classList.add("marked");
  }
}

function equation([formula, name, given, how]) {
  const output = element("output", []), box = element("div", [], { className: "equation" });
  const result = table(name, (i, j) => spell(box, output, name, how, i, j));
  box.append(element("h4", formula), ...given.map((m) => table(m)), element("span", "=", { className: "sign" }), result, output);
  return box;
}

// showSteps shows the view, and goes on where it was.
export async function showSteps(root, call, announce) {
  const take = async (n, next) => {
    taken += n;
    const result = await call("steps", taken);
    if (result.error) return announce(result.error);
    numbers = result;
    stage = next;
    render();
    announce(`Step ${taken}, ${stages[stage][0]}, loss ${number(numbers.L[2], 4)}.`);
  };
  const button = (id, text, onclick) => element("button", text, { type: "button", id, onclick });
  const last = stages.length - 1;
  const next = button("next", "Next", () => (stage < last ? take(0, stage + 1) : take(1, 0)));
  next.className = "primary";
  const figures = element("dl", [], { className: "figures" }), body = element("div", []);
  root.replaceChildren(
    element("p", "A network 2-3-1 learns the exclusive or by gradient descent. Every number is the library’s own, from Predict, Slice, Gradient, InputGradient and Params. Press a result to see what it is made of."),
    element("div", [
      next,
      button("whole", "One step", () => take(1, last)),
      button("hundred", "100 steps", () => take(100, last)),
      button("anew", "Begin again", () => take(-taken, 0)),
      figures,
    ], { className: "transport", role: "group", ariaLabel: "Steps" }),
    body,
  );

  function render() {
    next.textContent = stage < last ? `${stages[stage + 1][0]} →` : "Next step →";
    const shown = { "Step": number(taken, 0), "Loss L": number(numbers.L[2], 4), "η": number(numbers["η"][2], 1) };
    figures.replaceChildren(...Object.entries(shown).map(([name, v]) => element("div", [element("dt", name), element("dd", v)])));
    body.replaceChildren(...stages.slice(0, stage + 1).map(([title, says, ...layers], i) =>
      element("section", [
        element("h2", `${i + 1}  ${title}`),
        element("p", says),
        ...(title === "Backward" ? [1, 0] : [0, 1]).map((k) => element("div", [
          ...(title === "Loss" ? [] : [element("h3", `Layer ${k + 1}`)]),
          ...layers[k].map(equation),
        ], { className: `layer${k + 1}` })),
      ], { className: i === stage ? "stage current" : "stage" })));
    if (stage > 0) body.lastChild.scrollIntoView({ block: "nearest" });
  }

  if (numbers) render();
  else await take(0, 0);
}
