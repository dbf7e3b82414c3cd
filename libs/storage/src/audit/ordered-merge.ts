// Several streams, each in the order of its 16-byte keys, read side by side: one key at a time, in bounded memory.

/** One stream's item at the current key. */
export interface Keyed {
  readonly key: Uint8Array;
}

/**
 * Yields, for each key that any stream holds, the items under it: one for each stream that has the key, by the stream's index.
 * Each stream must rise strictly in its keys.
 */
export function* mergeByKey<Item extends Keyed>(streams: readonly Iterable<Item>[]): Generator<{ key: Uint8Array; items: (Item | undefined)[] }> {
  const iterators = streams.map((stream) => stream[Symbol.iterator]());
  const heads = iterators.map((iterator) => nextOf(iterator));
  for (;;) {
    let key: Uint8Array | undefined;
    for (const head of heads) if (head !== undefined && (key === undefined || Buffer.compare(head.key, key) < 0)) key = head.key;
    if (key === undefined) return;
    const least = key;
    const items = heads.map((head, index) => {
      if (head === undefined || Buffer.compare(head.key, least) !== 0) return undefined;
      heads[index] = nextOf(iterators[index]!);
      return head;
    });
    yield { key: least, items };
  }
}

function nextOf<Item>(iterator: Iterator<Item>): Item | undefined {
  const { done, value } = iterator.next();
  return done === true ? undefined : value;
}
