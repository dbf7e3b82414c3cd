// One other gateway: asks it again and again for revocations that are new, which is also the proof that we hear from it.

import type { RevocationRow } from '@strife/auth';
import type { PeerServiceClient } from '@strife/stubs/gateway';
import type { Clock } from '@strife/two-phase-commit';
import { revocationFromWire, revocationToWire } from './revocation-wire.ts';

export interface PeerLink {
  /** All that the peer knew at this time is known here; on the clock's steady scale. */
  heardAtMs(): number;
  /** Tells the peer, once. It may be repeated; the peer asks by itself, too. */
  push(rows: readonly RevocationRow[], signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface PeerLinkOptions {
  readonly client: Pick<PeerServiceClient, 'revoke' | 'listRevocations'>;
  /** What `heardAtMs` is until it has been heard. */
  readonly assumedHeardAtMs: number;
  /** Makes them count, durably. */
  readonly learn: (rows: readonly RevocationRow[]) => Promise<void>;
  readonly onHeard: () => void;
  /** Asking failed, and had not failed before. */
  readonly onTrouble: (error: unknown) => void;
  readonly onRecovery: () => void;
  readonly clock: Pick<Clock, 'after' | 'monotonicMs'>;
}

const POLL_INTERVAL_MS = 300;
const POLL_TIMEOUT_MS = 1000;

export function createPeerLink(options: PeerLinkOptions): PeerLink {
  const { client, assumedHeardAtMs, learn, onHeard, onTrouble, onRecovery, clock } = options;
  const closing = new AbortController();
  let heardAtMs = assumedHeardAtMs;
  let isInTrouble = false;
  let cursor = { logId: '', afterSeq: 0n };
  let cancelNext = (): void => undefined;

  /** Asks page by page. What the last page says is complete as of when it was asked for. */
  async function catchUp(): Promise<void> {
    for (let more = true; more;) {
      const askedAtMs = clock.monotonicMs();
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(POLL_TIMEOUT_MS)]);
      const page = await client.listRevocations(cursor, { signal });
      await learn(page.revocations.map(revocationFromWire));
      cursor = { logId: page.logId, afterSeq: page.lastSeq };
      more = page.more;
      if (!more) heardAtMs = askedAtMs;
    }
  }

  async function poll(): Promise<void> {
    try {
      await catchUp();
      if (closing.signal.aborted) return;
      if (isInTrouble) onRecovery();
      isInTrouble = false;
      onHeard();
    } catch (error) {
      if (closing.signal.aborted) return;
      if (!isInTrouble) onTrouble(error);
      isInTrouble = true;
    }
    cancelNext = clock.after(POLL_INTERVAL_MS, () => void poll());
  }

  void poll();
  return {
    heardAtMs: () => heardAtMs,
    async push(rows, signal) {
      await client.revoke({ revocations: rows.map(revocationToWire) }, { signal: AbortSignal.any([closing.signal, signal]) });
    },
    close() {
      closing.abort();
      cancelNext();
    },
  };
}
