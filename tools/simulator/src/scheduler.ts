// Simulated time: everything that will happen, ordered by when, and then by when it was asked for.

/** What an event belongs to. An event of somebody who no longer lives does not happen. */
export interface Owner {
  readonly alive: boolean;
}

export interface SimulatedEvent {
  readonly atMs: number;
  readonly order: number;
  readonly owner: Owner;
  readonly run: () => void;
  cancelled: boolean;
}

export interface Scheduler {
  /** True time, in ms since the world began. Nobody in the world can see it. */
  nowMs: number;
  at(atMs: number, owner: Owner, run: () => void): SimulatedEvent;
  after(delayMs: number, owner: Owner, run: () => void): SimulatedEvent;
  /** Takes out the next event that is to happen and moves time to it; undefined when nothing will ever happen again. */
  next(): SimulatedEvent | undefined;
}

/** Lives as long as the world. */
export const FOR_EVER: Owner = { alive: true };

export function createScheduler(): Scheduler {
  const heap: SimulatedEvent[] = [];
  let order = 0;

  function push(event: SimulatedEvent): void {
    let place = heap.length;
    heap.push(event);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = heap[parent]!;
      if (!isBefore(event, above)) break;
      heap[place] = above;
      place = parent;
    }
    heap[place] = event;
  }

  function pop(): SimulatedEvent | undefined {
    const first = heap[0];
    const last = heap.pop();
    const size = heap.length;
    if (last === undefined || size === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }

  const scheduler: Scheduler = {
    nowMs: 0,
    at(atMs, owner, run) {
      order += 1;
      const event: SimulatedEvent = { atMs, order, owner, run, cancelled: false };
      push(event);
      return event;
    },
    after: (delayMs, owner, run) => scheduler.at(scheduler.nowMs + delayMs, owner, run),
    next() {
      for (;;) {
        const event = pop();
        if (event === undefined) return undefined;
        if (event.cancelled || !event.owner.alive) continue;
        scheduler.nowMs = event.atMs;
        return event;
      }
    },
  };
  return scheduler;
}

function isBefore(one: SimulatedEvent, other: SimulatedEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
