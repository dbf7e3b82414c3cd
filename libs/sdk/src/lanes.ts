// Gathers what can travel together, by the pace of the answers: an idle lane sends at once, a busy one gathers until an answer
// returns or a message is full. No timer holds anything back.

import { dueTimes } from './due-times.ts';

/** Messages under way in a lane, for each gateway; more gathers until one is answered... */
const FLIGHTS_PER_GATEWAY = 2;
/** ...or until it fills a message, which would gain nothing by waiting; then so many, overdue ones among them. */
const FULL_FLIGHTS_PER_GATEWAY = 8;
/** A message that is not answered after this time keeps others back no longer... */
const FLIGHT_OVERDUE_MS = 500;
/** ...until this many are overdue in a lane. */
const OVERDUE_FLIGHTS_MAX = 14;

export interface LaneRules<T> {
  readonly itemsMax: number;
  readonly bytesMax: number;
  bytesOf(item: T): number;
  /** An item that is done while it waits is left out. */
  isDone(item: T): boolean;
  /** How many gateways can be called. */
  gatewayCount(): number;
  nowMs(): number;
  /** Sends one message; ends when it is answered, or not waited for any more. Does not reject. */
  fly(items: readonly T[]): Promise<void>;
}

export interface Lanes<T> {
  /** Sends the item with others of the same key, after those that wait already. What is added in one go goes together. */
  add(key: string, item: T): void;
}

interface Lane<T> {
  readonly key: string;
  readonly waiting: T[];
  isAwake: boolean;
  /** Messages under way that are not overdue. */
  flights: number;
  overdue: number;
}

interface Flight<T> {
  readonly lane: Lane<T>;
  isOverdue: boolean;
}

export function createLanes<T>(rules: LaneRules<T>): Lanes<T> {
  const lanes = new Map<string, Lane<T>>();
  const overdue = dueTimes<Flight<T>>(() => rules.nowMs(), (flight) => {
    flight.isOverdue = true;
    flight.lane.flights -= 1;
    flight.lane.overdue += 1;
    wake(flight.lane);
  });

  /** Begins once the caller's code has run, so that all that it adds in one go is there. */
  function wake(lane: Lane<T>): void {
    if (lane.isAwake) return;
    lane.isAwake = true;
    queueMicrotask(() => {
      lane.isAwake = false;
      while (lane.waiting.length > 0 && canFly(lane)) {
        const items = takeMessage(lane.waiting);
        if (items.length > 0) void fly(lane, items);
      }
      if (lane.waiting.length === 0 && lane.flights + lane.overdue === 0) lanes.delete(lane.key);
    });
  }

  function canFly({ waiting, flights, overdue }: Lane<T>): boolean {
    const gateways = rules.gatewayCount();
    if (overdue >= OVERDUE_FLIGHTS_MAX) return false;
    return flights < FLIGHTS_PER_GATEWAY * gateways || (waiting.length >= rules.itemsMax && flights + overdue < FULL_FLIGHTS_PER_GATEWAY * gateways);
  }

  async function fly(lane: Lane<T>, items: readonly T[]): Promise<void> {
    const flight: Flight<T> = { lane, isOverdue: false };
    lane.flights += 1;
    overdue.set(flight, rules.nowMs() + FLIGHT_OVERDUE_MS);
    await rules.fly(items);
    overdue.delete(flight);
    if (flight.isOverdue) lane.overdue -= 1;
    else lane.flights -= 1;
    wake(lane);
  }

  function takeMessage(waiting: T[]): T[] {
    const items: T[] = [];
    let taken = 0;
    let bytes = 0;
    for (const item of waiting) {
      if (!rules.isDone(item)) {
        bytes += rules.bytesOf(item);
        if (items.length === rules.itemsMax || (items.length > 0 && bytes > rules.bytesMax)) break;
        items.push(item);
      }
      taken += 1;
    }
    waiting.splice(0, taken);
    return items;
  }

  return {
    add(key, item) {
      let lane = lanes.get(key);
      if (!lane) lanes.set(key, (lane = { key, waiting: [], isAwake: false, flights: 0, overdue: 0 }));
      lane.waiting.push(item);
      wake(lane);
    },
  };
}
