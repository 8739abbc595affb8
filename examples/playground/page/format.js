// Numbers as they are shown: a typographic minus, and powers of ten written as such.

const superscripts = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export const power = (n) => "10" + [...String(n)].map((c) => superscripts[c]).join("");

const minus = (text) => text.replace("-", "−");

function scientific(v) {
  const [digits, exponent] = v.toExponential(1).split("e");
  return minus(digits) + "·" + power(Number(exponent));
}

// number shows v with so many decimals, or as a power of ten where that says nothing.
export function number(v, decimals = 3) {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "NaN" : v < 0 ? "−∞" : "∞";
  const size = Math.abs(v);
  const plain = v === 0 || (size >= 0.5 * 10 ** -decimals && size < 1e6);
  return plain ? minus(v.toFixed(decimals)) : scientific(v);
}

// short shows v with some three digits.
export function short(v) {
  const size = Math.abs(v);
  if (size >= 1000 && size < Infinity) return scientific(v);
  return number(v, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
