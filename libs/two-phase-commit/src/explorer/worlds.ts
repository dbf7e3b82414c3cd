// The worlds that are explored. The default ones run with the tests; the larger ones by `main.ts --world all`.

import type { TransferBody } from '../protocol/vocabulary.ts';
import type { WorldPlan } from './model.ts';

const PAYMENT: TransferBody = {
  from: { bank: 'alpha', account: 'alice' }, to: { bank: 'beta', account: 'bob' }, currency: 'EUR', amountMinor: 10n, memo: '',
};
const OTHER_PAYMENT: TransferBody = { ...PAYMENT, amountMinor: 7n };
const INSIDE: TransferBody = { ...PAYMENT, to: { bank: 'alpha', account: 'adam' }, amountMinor: 5n };

const ONE_GATEWAY = [{ name: 'g1', log: 'L1' }];
const ONE_LOG = [{ name: 'g1', log: 'L1' }, { name: 'g2', log: 'L1' }];
const TWO_LOGS = [{ name: 'g1', log: 'L1' }, { name: 'g2', log: 'L2' }];
const THREE_GATEWAYS = [...ONE_LOG, { name: 'g3', log: 'L2' }];

const asked = (gateway: number, times: number, body = 0): WorldPlan['requests'][number] => ({ gateway, body, times });

/** Small enough for every run of the tests. */
export const DEFAULT_WORLDS: readonly WorldPlan[] = [
  {
    name: 'one-gateway', about: 'one gateway, asked twice; a bank may decline', gateways: ONE_GATEWAY, bodies: [PAYMENT],
    requests: [asked(0, 2)], inquiry: true, mayDecline: ['beta'],
  },
  {
    name: 'one-log', about: 'two gateways on one log; a bank may decline', gateways: ONE_LOG, bodies: [PAYMENT],
    requests: [asked(0, 1), asked(1, 1)], inquiry: true, mayDecline: ['beta'],
  },
  {
    name: 'one-log-silent-banks', about: 'two gateways on one log; banks never ask: the fence and the re-sending stand alone',
    gateways: ONE_LOG, bodies: [PAYMENT], requests: [asked(0, 2), asked(1, 1)], inquiry: false, mayDecline: [],
  },
  {
    name: 'one-log-two-bodies', about: 'two gateways on one log, another body under the same id', gateways: ONE_LOG,
    bodies: [PAYMENT, OTHER_PAYMENT], requests: [asked(0, 1), asked(1, 1, 1)], inquiry: true, mayDecline: [],
  },
  {
    name: 'one-log-fenced', about: 'two gateways on one log, and a fence that another coordinator left behind at one bank',
    gateways: ONE_LOG, bodies: [PAYMENT], fences: { alpha: 5 }, requests: [asked(0, 2), asked(1, 1)], inquiry: false, mayDecline: [],
  },
  {
    name: 'two-logs', about: 'two gateways with a log each', gateways: TWO_LOGS, bodies: [PAYMENT],
    requests: [asked(0, 1), asked(1, 1)], inquiry: true, mayDecline: ['beta'],
  },
  {
    name: 'two-logs-two-bodies', about: 'two gateways with a log each, another body under the same id', gateways: TWO_LOGS,
    bodies: [PAYMENT, OTHER_PAYMENT], requests: [asked(0, 1), asked(1, 1, 1)], inquiry: true, mayDecline: [],
  },
  {
    name: 'one-phase-and-two-phase', about: 'a payment inside one bank and one between banks under the same id', gateways: TWO_LOGS,
    bodies: [PAYMENT, INSIDE], requests: [asked(0, 1), asked(0, 1, 1), asked(1, 1, 1)], inquiry: true, mayDecline: [],
  },
  {
    name: 'one-phase', about: 'a payment inside one bank through two gateways', gateways: TWO_LOGS, bodies: [INSIDE],
    requests: [asked(0, 2), asked(1, 2)], inquiry: true, mayDecline: ['alpha'],
  },
];

/** These take minutes, not seconds. */
export const LARGE_WORLDS: readonly WorldPlan[] = [
  {
    name: 'one-gateway-thrice', about: 'one gateway, asked three times; a bank may decline', gateways: ONE_GATEWAY, bodies: [PAYMENT],
    requests: [asked(0, 3)], inquiry: true, mayDecline: ['beta'],
  },
  {
    name: 'one-log-retried', about: 'two gateways on one log, one of them asked again', gateways: ONE_LOG, bodies: [PAYMENT],
    requests: [asked(0, 2), asked(1, 1)], inquiry: true, mayDecline: [],
  },
  {
    name: 'one-log-fenced-asking', about: 'the same as one-log-fenced, with banks that ask', gateways: ONE_LOG, bodies: [PAYMENT],
    fences: { alpha: 5 }, requests: [asked(0, 2), asked(1, 1)], inquiry: true, mayDecline: [],
  },
  {
    name: 'two-logs-retried', about: 'two gateways with a log each, one of them asked again', gateways: TWO_LOGS, bodies: [PAYMENT],
    requests: [asked(0, 2), asked(1, 1)], inquiry: true, mayDecline: ['beta'],
  },
  {
    name: 'three-gateways', about: 'two gateways on one log and a third with its own', gateways: THREE_GATEWAYS, bodies: [PAYMENT],
    requests: [asked(0, 1), asked(1, 1), asked(2, 1)], inquiry: true, mayDecline: [],
  },
  {
    name: 'two-bodies-retried', about: 'two gateways with a log each, each asked for both bodies', gateways: TWO_LOGS,
    bodies: [PAYMENT, OTHER_PAYMENT], requests: [asked(0, 1), asked(0, 1, 1), asked(1, 1), asked(1, 1, 1)], inquiry: true, mayDecline: [],
  },
];
