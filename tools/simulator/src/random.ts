// The only source of chance in a simulated world: a small generator that one seed determines.

export interface Random {
  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number;
  /** From `low` up to, not including, `high`. */
  between(low: number, high: number): number;
  /** True in this share of cases. Draws nothing where the answer is certain. */
  chance(share: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
}

const UINT32 = 2 ** 32;

/** Mulberry32, whose first state is mixed from the seed and the stream: streams of one seed have nothing to do with each other. */
export function createRandom(seed: number, stream = 0): Random {
  let state = mix(mix(seed | 0) ^ mix(Math.floor(seed / UINT32) + 0x9e3779b9) ^ Math.imul(stream + 1, 0x85ebca6b));

  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  return {
    below: (limit) => Math.floor((next() / UINT32) * limit),
    between: (low, high) => low + (next() / UINT32) * (high - low),
    chance: (share) => share > 0 && (share >= 1 || next() < share * UINT32),
    pick: (items) => items[Math.floor((next() / UINT32) * items.length)]!,
  };
}

function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b);
  return bits ^ (bits >>> 16);
}
