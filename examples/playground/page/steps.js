// One step of gradient descent by its numbers. Each stage is a list of equations, each of these the
// names of the matrices in it; the Go program computes them all.

import { number } from "./format.js";

const stages = [
  ["Forward", "The four rows of X go through both layers; rows are samples.", [
    ["Z₁ = X·W₁ᵀ + 1·b₁ᵀ", "X", "W1", "b1", "=", "Z1"],
    ["A₁ = tanh(Z₁)", "Z1", "=", "A1"],
    ["Z₂ = A₁·W₂ᵀ + 1·b₂ᵀ", "A1", "W2", "b2", "=", "Z2"],
    ["A₂ = σ(Z₂)", "Z2", "=", "A2"],
  ]],
  ["Loss", "The mean over the samples of −y·log a − (1−y)·log(1−a), and how it changes with A₂.", [
    ["L = L(A₂, Y)", "A2", "Y", "=", "L"],
    ["dA₂ = ∂L/∂A₂", "A2", "Y", "=", "dA2"],
  ]],
  ["Backward", "The same way back, from the last layer to the first: dZ, dW … stand for the derivatives of L.", [
    ["dZ₂ = dA₂ ⊙ σ′(Z₂)", "dA2", "Z2", "=", "dZ2"],
    ["dW₂ = dZ₂ᵀ·A₁", "dZ2", "A1", "=", "dW2"],
    ["db₂ = dZ₂ᵀ·1", "dZ2", "=", "db2"],
    ["dA₁ = dZ₂·W₂", "dZ2", "W2", "=", "dA1"],
    ["dZ₁ = dA₁ ⊙ tanh′(Z₁)", "dA1", "Z1", "=", "dZ1"],
    ["dW₁ = dZ₁ᵀ·X", "dZ1", "X", "=", "dW1"],
    ["db₁ = dZ₁ᵀ·1", "dZ1", "=", "db1"],
  ]],
  ["Update", "θ ← θ − η·∂L/∂θ, for every parameter at once.", [
    ["W₁ ← W₁ − η·dW₁", "W1", "dW1", "=", "W1+"],
    ["b₁ ← b₁ − η·db₁", "b1", "db1", "=", "b1+"],
    ["W₂ ← W₂ − η·dW₂", "W2", "dW2", "=", "W2+"],
    ["b₂ ← b₂ − η·db₂", "b2", "db2", "=", "b2+"],
  ]],
];

const subscript = (name) => name.replace("1", "₁").replace("2", "₂").replace("+", " after");

function element(tag, content, properties = {}) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...[content].flat());
  return e;
}

// table is a matrix, given as rows, columns and elements.
function table(name, [rows, columns, ...elements], given) {
  const t = document.createElement("table");
  t.append(element("caption", `${subscript(name)}  ${rows}×${columns}`));
  for (let i = 0; i < rows; i++) {
    t.append(element("tr", elements.slice(i * columns, (i + 1) * columns).map((v) => {
      const cell = element("td", given ? number(v, 0) : number(v));
      const share = Math.round(70 * Math.min(1, Math.abs(v)));
      cell.style.background = `color-mix(in srgb, var(--${v > 0 ? "positive" : "negative"}) ${share}%, transparent)`;
      return cell;
    })));
  }
  return element("div", t, { className: "matrix", role: "presentation", tabIndex: -1 });
}

let stage = 0, numbers; // the stage that is shown last, and what is in it

// showSteps shows the view, and goes on where it was.
export async function showSteps(root, call, announce) {
  const take = async (n, next) => {
    const result = await call("takeSteps", n);
    if (result.error) return announce(result.error);
    numbers = result;
    stage = next;
    render();
    announce(`Step ${numbers.n}, ${stages[stage][0]}, loss ${number(numbers.L[2], 4)}.`);
  };
  const button = (id, text, onclick) => element("button", text, { type: "button", id, onclick });
  const next = button("next", "Next", () => (stage < stages.length - 1 ? take(0, stage + 1) : take(1, 0)));
  next.className = "primary";
  const figures = element("dl", [], { className: "figures" });
  const body = element("div", []);
  root.replaceChildren(
    element("p", "A network 2-3-1 learns the exclusive or by gradient descent. Every number below is the library’s own: what Slice and Predict, Gradient, InputGradient and Params return."),
    element("div", [
      next,
      button("whole", "One step", () => take(1, stages.length - 1)),
      button("hundred", "100 steps", () => take(100, stages.length - 1)),
      button("anew", "Begin again", () => take(-1, 0)),
      figures,
    ], { className: "transport", role: "group", ariaLabel: "Steps" }),
    body,
  );

  function render() {
    next.textContent = stage < stages.length - 1 ? `${stages[stage + 1][0]} →` : "Next step →";
    const shown = { "Step": number(numbers.n, 0), "Loss L": number(numbers.L[2], 4), "η": number(numbers.rate, 1) };
    figures.replaceChildren(...Object.entries(shown).map(([name, value]) => element("div", [element("dt", name), element("dd", value)])));
    body.replaceChildren(...stages.slice(0, stage + 1).map(([title, says, equations], i) => {
      const section = element("section", [element("h2", `${i + 1}  ${title}`), element("p", says), ...equations.map(equation)]);
      section.className = i === stage ? "stage current" : "stage";
      return section;
    }));
    if (stage > 0) body.lastChild.scrollIntoView({ block: "nearest" });
  }

  function equation([formula, ...names]) {
    return element("div", [
      element("div", formula, { className: "formula" }),
      ...names.map((name) => name === "=" ? element("span", "=", { className: "sign" }) : table(name, numbers[name], name === "X" || name === "Y")),
    ], { className: "equation" });
  }

  if (numbers) render();
  else await take(0, 0);
}
