// Times at which items are due, for many items at little cost: one timer for all of them.

export interface DueTimes<T> {
  /** From now on the item is due at that time, instead of any other. */
  set(item: T, atMs: number): void;
  /** The item is not due any more; harmless when it is not there. */
  delete(item: T): void;
  /** How many items there are. */
  readonly size: number;
  /** In the order in which they were set; those that are deleted meanwhile are left out. */
  items(): Iterable<T>;
}

/** How late an item may be told, for the sake of telling many at once. */
const GRAIN_MS = 5;
/** Node's timers count no further. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Calls `onDue` once for each item whose time has come, within some milliseconds and never early. */
export function dueTimes<T>(nowMs: () => number, onDue: (item: T) => void): DueTimes<T> {
  const slotOf = new Map<T, number>();
  const slots = new Map<number, Set<T>>();
  let timer: NodeJS.Timeout | undefined;
  let armedFor = Infinity;

  function arm(slot: number): void {
    clearTimeout(timer);
    armedFor = slot;
    timer = slot === Infinity ? undefined : setTimeout(sweep, Math.min(TIMER_MS_MAX, Math.max(0, slot * GRAIN_MS - nowMs())));
  }

  function sweep(): void {
    armedFor = Infinity;
    const passed = Math.floor(nowMs() / GRAIN_MS);
    const due = [...slots.keys()].filter((slot) => slot <= passed).sort((one, other) => one - other);
    for (const slot of due) {
      for (const item of slots.get(slot) ?? []) {
        remove(item);
        onDue(item);
      }
    }
    let next = Infinity;
    for (const slot of slots.keys()) next = Math.min(next, slot);
    if (next < armedFor) arm(next);
  }

  function remove(item: T): void {
    const slot = slotOf.get(item);
    if (slot === undefined) return;
    slotOf.delete(item);
    const items = slots.get(slot);
    items?.delete(item);
    if (items?.size === 0) slots.delete(slot);
  }

  return {
    set(item, atMs) {
      remove(item);
      const slot = Math.ceil(atMs / GRAIN_MS);
      slotOf.set(item, slot);
      const items = slots.get(slot);
      if (items) items.add(item);
      else slots.set(slot, new Set([item]));
      if (slot < armedFor) arm(slot);
    },
    get size() {
      return slotOf.size;
    },
    items: () => slotOf.keys(),
    delete(item) {
      remove(item);
      // A timer that nothing waits for would keep the process alive.
      if (slotOf.size === 0) arm(Infinity);
    },
  };
}
