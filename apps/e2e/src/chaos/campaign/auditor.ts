// A thread that looks at all stores when it is told to, so that the proxies of the thread beside it go on. It remembers what it saw before.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { createSnapshotCheck } from './check-snapshots.ts';
import { takeSnapshots } from './snapshot.ts';
import type { Snapshot, StoreOfService } from './snapshot.ts';

export interface AuditorData {
  readonly stores: readonly StoreOfService[];
  /** By bank. */
  readonly seededMinor: Readonly<Record<string, bigint>>;
  /** Where the copies lie that something was wrong with. */
  readonly folder: string;
}

/** What a look saw, in the order in which it saw it. */
export interface SeenStores {
  readonly stores: readonly SeenStore[];
  /** Each in one line; none when all is well. */
  readonly problems: readonly string[];
}

export interface SeenStore {
  readonly name: string;
  /** In UTC. */
  readonly takenAt: string;
  /** How many payments it knows, by their state. */
  readonly payments: Readonly<Record<string, number>>;
}

const { stores, seededMinor, folder } = workerData as AuditorData;
const checked = createSnapshotCheck(seededMinor);
let looks = 0;

parentPort!.on('message', () => {
  looks += 1;
  const copies = join(folder, String(looks));
  // Each store is now seen before another one and now after it: what must hold differs.
  const snapshots = takeSnapshots(looks % 2 === 1 ? stores : stores.toReversed(), copies);
  const problems = checked.check(snapshots);
  if (problems.length === 0) rmSync(copies, { recursive: true });
  const seen: SeenStores = { stores: snapshots.map(seenOf), problems };
  parentPort!.postMessage(seen, []);
});

function seenOf({ name, takenAt, facts }: Snapshot): SeenStore {
  const payments: Record<string, number> = {};
  for (const { state } of facts.values()) payments[state] = (payments[state] ?? 0) + 1;
  return { name, takenAt, payments };
}
