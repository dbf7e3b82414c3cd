import { describe, expect, it } from '@jest/globals';
import { startBudget, type Clock } from '../budget.ts';
import type { CallContext } from '../call-context.ts';
import { AuthenticationError } from '../errors.ts';
import type { GatewayLink } from '../gateway-link.ts';
import type { GatewayPool } from '../gateway-pool.ts';
import { loginStores } from '../login-store.ts';
import { eur } from '../money.ts';
import { sessionKeeper } from '../session-keeper.ts';
import { gatewayPort } from './gateway-port.ts';

const ID = '0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3';
const PAUSE_MS_MAX = 2_000;

describe('a message to a gateway that never hears of the signer of the token', () => {
  it.each([
    ['that can be renewed', 'r'],
    ['that cannot', undefined],
  ])('fails in passing, after pauses: it is no reason to log in again (a session %s)', async (_which, refreshToken) => {
    let nowMs = 0;
    let calls = 0;
    let renewals = 0;
    const clock: Clock = {
      nowMs: () => nowMs,
      random: () => 0.5,
      // A pause is over at once; the end of the call never comes.
      sleep: async (ms, signal) => {
        if (ms > PAUSE_MS_MAX) return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
        nowMs += ms;
      },
    };
    const link = {
      address: 'gateway:1',
      call: () => {
        calls += 1;
        return Promise.reject(new AuthenticationError('who signed that?', { code: 'TOKEN_ISSUER', outcome: 'not_applied' }));
      },
    } as unknown as GatewayLink;
    const closing = new AbortController();
    const gateways = {
      connected: async () => link,
      answerWaitMs: () => 5_000,
      changed: () => new Promise((resolve) => closing.signal.addEventListener('abort', resolve)),
    } as unknown as GatewayPool;
    const context: CallContext = {
      clock,
      closing: closing.signal,
      gateways,
      checkedTimeoutMs: () => 10_000,
      budget: ({ timeoutMs = 10_000, signal = closing.signal } = {}) => startBudget(clock, timeoutMs, signal),
      login: () => keeper,
    };
    const session = { token: 't', account: 'alpha/alice', currency: 'EUR', expiresAtMs: Date.now() + 3_600_000, ...(refreshToken && { refreshToken }) };
    const keeper = sessionKeeper({
      session,
      isNew: true,
      store: loginStores(undefined).loaded(),
      nowUnixMs: Date.now,
      onChange: () => {},
      refresh: async () => ({ ...session, token: `t${++renewals}` }),
    });
    const port = gatewayPort(context, () => keeper, () => 'alpha/alice');
    const payment = { id: ID, to: 'beta/bob', amount: eur('1.00'), memo: '', expiresAtMs: undefined, earlierSendsAnswered: true };

    const [result] = await port.send('alpha/alice', [payment], closing.signal);
    expect(result).toMatchObject({ ok: false, error: { name: 'UnavailableError', code: 'TOKEN_ISSUER', retryable: true, outcome: 'not_applied' } });
    expect(nowMs).toBeGreaterThanOrEqual(3_000);
    expect(calls).toBeLessThan(20);
    expect(renewals).toBe(refreshToken ? 2 : 0);
    closing.abort();
    port.close();
  });
});
