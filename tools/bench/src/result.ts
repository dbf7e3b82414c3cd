// The document that a run leaves: everything that was seen, and nothing that can be computed from it.

import type { AuditVerdict } from './books/audit-books.ts';
import type { Sample } from './measure/sample.ts';
import type { Probe } from './scenarios/probe.ts';

export interface BenchResult {
  readonly version: 1;
  readonly profile: string;
  readonly command: string;
  /** Of the checkout; with `+` behind it when files differed from it. */
  readonly commit: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly machine: Machine;
  /** How many payments were in doubt in (h). */
  readonly inDoubt: number;
  readonly probes: readonly ProbeResult[];
  readonly audits: readonly StageAudit[];
  /** The PostgreSQL peer, or why there is none. */
  readonly peer: { readonly kind: 'ran'; readonly version: string; readonly fault?: string | undefined } | { readonly kind: 'missing'; readonly why: string };
  /** What was left out or went otherwise than asked for. */
  readonly notes: readonly string[];
}

export interface Machine {
  readonly cpus: number;
  readonly cpuModel: string;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
}

export interface ProbeResult extends Pick<Probe, 'key' | 'title' | 'unit'> {
  readonly floor: string | undefined;
  /** By round; null where it was not measured in that round. */
  readonly samples: readonly (Sample | null)[];
}

export interface StageAudit extends AuditVerdict {
  readonly stage: string;
}

/** A run counts when all its books are right, the peer's too. */
export function countsAtAll({ audits, peer }: BenchResult): boolean {
  return audits.length > 0 && audits.every(({ clean }) => clean) && (peer.kind === 'missing' || peer.fault === undefined);
}
