// The peer: PostgreSQL with two-phase commit, a transaction a payment, and in bulk.

import { withChildren } from '../measure/process-usage.ts';
import type { PostgresPeer } from '../peers/postgres-peer.ts';
import type { Probe, Setting } from './probe.ts';

export function peerProbes({ profile, sample }: Setting, peer: PostgresPeer): Probe[] {
  const { payer, payee, decisions, accounts } = peer;
  const probe = (kind: 'single' | 'bulk', workers: number, batchItems: number): Probe => ({
    key: `peer.${kind}.${workers}`,
    title: kind === 'single' ? `PostgreSQL, a transaction a payment, ${workers} connections` : `PostgreSQL, ${batchItems} in each transaction, ${workers} connections`,
    unit: 'payments',
    measure: () => sample('peer', {
      kind: 'postgres', payer: payer.address, payee: payee.address, decisions: decisions.address, accounts, workers, batchItems,
    }, () => ({ 'postgres alpha': withChildren(payer.pid), 'postgres beta': withChildren(payee.pid), 'postgres decisions': withChildren(decisions.pid) })),
  });
  return [...profile.peerSingle.map((workers) => probe('single', workers, 1)), ...profile.peerBulk.map((workers) => probe('bulk', workers, profile.batchItems))];
}
