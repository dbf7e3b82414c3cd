// What specs of the coordinator say for the banks, and how they listen to what callers are told.

import type { TransferResult } from '../protocol/coordinator-machine.ts';
import { settled, type ScriptedLink } from './fake-ports.ts';

/** Follows a promise without waiting for it. */
export function follow(promise: Promise<TransferResult>): { result?: TransferResult } {
  const followed: { result?: TransferResult } = {};
  void promise.then((result) => {
    followed.result = result;
  });
  return followed;
}

/** Each bank that was asked votes yes. */
export async function voteYes(link: ScriptedLink): Promise<void> {
  for (const { vote } of link.legs.splice(0)) vote({ kind: 'yes' });
  await settled();
}

/** Each bank that was sent a decision acknowledges it. */
export async function acknowledgeAll(link: ScriptedLink): Promise<void> {
  for (const { acknowledge } of link.decisions.splice(0)) acknowledge();
  await settled();
}
