// The floors: what the disk, an empty call and bare SQLite do on this machine, in the same run.

import type { TlsMaterial } from '@strife/certs';
import type { Probe, Setting } from './probe.ts';

export interface FloorOptions {
  /** On the disk that the stores are on. */
  readonly directory: string;
  /** The server of empty calls. */
  readonly server: { readonly address: string; readonly pid: number };
  readonly tls: TlsMaterial;
}

export function floorProbes({ profile, sample }: Setting, { directory, server, tls }: FloorOptions): Probe[] {
  const call = (concurrency: number): Probe => ({
    key: `floor.call.${concurrency}`, title: `empty nice-grpc call, mutual TLS, ${concurrency} at once`, unit: 'calls',
    measure: () => sample('floor', { kind: 'empty-call', address: server.address, tls, concurrency }, () => ({ server: [server.pid] })),
  });
  return [
    {
      key: 'floor.fdatasync', title: 'append 4 KiB and fdatasync', unit: 'syncs',
      measure: () => sample('floor', { kind: 'fdatasync', directory }, () => ({})),
    },
    call(1),
    call(64),
    {
      key: 'floor.sqlite', title: `bare SQLite, legs prepared and settled, batches of ${profile.batchItems}`, unit: 'payments',
      measure: () => sample('floor', { kind: 'sqlite-legs', directory, batchItems: profile.batchItems, accounts: profile.accounts }, () => ({})),
    },
  ];
}
