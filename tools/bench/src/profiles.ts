// How much each kind of run does.

import type { Profile } from './scenarios/probe.ts';

const THOUSAND = 1_000;
const MILLION = 1_000_000;

export const PROFILES = {
  quick: {
    name: 'quick', rounds: 2, seconds: 0.45, warmupMs: 200, accounts: 10 * THOUSAND, payers: 32, callers: [1000, 4000], batchItems: 1000, unary: [1, 64], unarySdk: [64],
    growth: [{ accounts: 10 * THOUSAND, pastPayments: 0 }, { accounts: 100 * THOUSAND, pastPayments: 0 }], ways: ['both'],
    inDoubt: 10 * THOUSAND, recovery: ['undecided', 'all'], recoveryRounds: 1, peerSingle: [8, 32, 64], peerBulk: [4],
  },
  full: {
    name: 'full', rounds: 5, seconds: 4, warmupMs: 1000, accounts: 10 * THOUSAND, payers: 64, callers: [1000, 4000], batchItems: 1000, unary: [1, 64, 256], unarySdk: [1, 64, 256],
    growth: [
      { accounts: 10 * THOUSAND, pastPayments: 0 }, { accounts: MILLION, pastPayments: 0 }, { accounts: 10 * MILLION, pastPayments: 0 },
      { accounts: 10 * THOUSAND, pastPayments: 10 * MILLION },
    ],
    ways: ['both', 'one'],
    inDoubt: 100 * THOUSAND, recovery: ['undecided', 'undelivered', 'all'], recoveryRounds: 3, peerSingle: [8, 32, 64], peerBulk: [2, 4, 8],
  },
  tiny: {
    name: 'tiny', rounds: 1, seconds: 0.1, warmupMs: 20, accounts: 100, payers: 2, callers: [4, 20], batchItems: 10, unary: [1, 4], unarySdk: [4],
    growth: [{ accounts: 100, pastPayments: 300 }], ways: ['both', 'one'],
    inDoubt: 50, recovery: ['undecided', 'all'], recoveryRounds: 1, peerSingle: [], peerBulk: [],
  },
} as const satisfies Record<Profile['name'], Profile>;
