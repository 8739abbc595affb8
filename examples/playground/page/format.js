// Numbers as they are shown: a typographic minus, and powers of ten written as such.

const superscripts = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export const power = (n) => "10" + [...String(n)].map((c) => superscripts[c]).join("");

export const minus = (text) => text.replace("-", "−");

// number shows v with so many decimals, or as a power of ten where that says nothing.
export function number(v, decimals = 3) {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "not a number" : v < 0 ? "−∞" : "∞";
  const size = Math.abs(v);
  if (v === 0 || (size >= 0.5 * 10 ** -decimals && size < 1e4)) return minus(v.toFixed(decimals));
  const [digits, exponent] = v.toExponential(1).split("e");
  return minus(digits) + "·" + power(Number(exponent));
}
