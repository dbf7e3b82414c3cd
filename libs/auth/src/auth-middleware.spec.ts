// The auth middleware on a real server: who gets through, who does not, and that nothing leaks.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createChannel, createClient, createServer, Metadata, type Channel, type Client, type Server } from 'nice-grpc';
import { ServerError, Status, type CallContext, type ServerMiddleware } from 'nice-grpc-common';
import {
  AccountServiceDefinition,
  CoordinatorServiceDefinition,
  GetAccountResponse,
  InquireDecisionsResponse,
  ListEntriesResponse,
  LoginResponse,
  LogoutResponse,
  RefreshResponse,
  SessionServiceDefinition,
} from '@strife/stubs/gateway';
import type { AuthError } from './auth-error.ts';
import { createAuthMiddleware, type AuthMiddleware, type SessionContext } from './auth-middleware.ts';
import { openKeyRing, type KeyRing } from './keys.ts';
import { createRevocations, type Revocations } from './revocations.ts';
import { loginRevocation } from './session-revocation.ts';
import { createSessionTokens, type Session, type SessionTokens } from './session-tokens.ts';

const START_MS = 1_800_000_000_000;

/** As nice-grpc takes it. */
function onServer(middleware: AuthMiddleware): ServerMiddleware<SessionContext> {
  return async function* guard(call, context) {
    return yield* call.next(call.request, { ...context, ...(await middleware(call.method.path, context)) } as CallContext & SessionContext);
  };
}

describe('the auth middleware', () => {
  let directory: string;
  let keys: KeyRing;
  let tokens: SessionTokens;
  let revocations: Revocations;
  let server: Pick<Server, 'shutdown'>;
  let channel: Channel;
  let accounts: Client<typeof AccountServiceDefinition>;
  let nowMs: number;
  let sessions: (Session | undefined)[];
  let refusals: AuthError[];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-middleware-'));
    keys = await openKeyRing({ file: join(directory, 'keys.json') });
  });

  afterAll(async () => {
    await rm(directory, { recursive: true });
  });

  beforeEach(async () => {
    nowMs = START_MS;
    sessions = [];
    refusals = [];
    tokens = createSessionTokens({ keys, issuer: 'gateway-1', nowMs: () => nowMs });
    revocations = await createRevocations({ store: { insert: () => {}, load: () => [], deleteExpired: () => {} }, nowMs: () => nowMs, monotonicMs: () => nowMs });
    const note = <Response>(response: Response) => async (_: unknown, context: CallContext & SessionContext) => {
      sessions.push(context.session);
      return response;
    };
    const guarded = createServer().use(onServer(createAuthMiddleware({
      tokens,
      revocations,
      publicMethods: new Set(['/strife.gateway.v1.SessionService/Login']),
      services: new Set(['strife.gateway.v1.SessionService', 'strife.gateway.v1.AccountService']),
      refuse(error) {
        refusals.push(error);
        return new ServerError(Status.UNAUTHENTICATED, `${error.code} ${error.message}`);
      },
    })));
    guarded.add(SessionServiceDefinition, { login: note(LoginResponse.fromPartial({})), refresh: note(RefreshResponse.fromPartial({})), logout: note(LogoutResponse.fromPartial({})) });
    guarded.add(AccountServiceDefinition, { getAccount: note(GetAccountResponse.fromPartial({})), listEntries: note(ListEntriesResponse.fromPartial({})) });
    guarded.add(CoordinatorServiceDefinition, { inquireDecisions: note(InquireDecisionsResponse.fromPartial({})) });
    server = guarded;
    channel = createChannel(`127.0.0.1:${await guarded.listen('127.0.0.1:0')}`);
    accounts = createClient(AccountServiceDefinition, channel);
  });

  afterEach(async () => {
    channel.close();
    await server.shutdown();
  });

  const issue = (lifetimeMs = 60_000) => tokens.issue({
    account: { bank: 'alpha', account: 'alice' }, currency: 'EUR', grant: 'grant-canary', login: { id: 's-1', expiresAtMs: nowMs + 86_400_000 }, grantExpiresAtMs: nowMs + lifetimeMs,
  });
  const call = (authorization?: string) =>
    accounts.getAccount({}, { metadata: authorization === undefined ? Metadata() : Metadata({ authorization }) });
  const refusalOf = async (authorization?: string) => {
    const error = await call(authorization).then(() => undefined, (reason: { code: number; details: string }) => reason);
    if (!error) return undefined;
    expect(error.code).toBe(Status.UNAUTHENTICATED);
    expect(error.details).toContain('authorization: ');
    return error.details.split(' ')[0];
  };

  /** Without a server, for what a client cannot send. */
  const run = async (headers: string[]) => {
    const middleware = createAuthMiddleware({
      tokens, revocations, publicMethods: new Set(), services: new Set(['a.Service']), refuse: (error) => error,
    });
    const context = { metadata: Metadata({ authorization: headers }) } as CallContext;
    await middleware('/a.Service/Method', context);
    return 'reached';
  };

  it('tells the handler who calls', async () => {
    const { token, jti, expiresAtMs } = await issue();
    await call(`Bearer ${token}`);
    await call(`bearer  ${token}`);
    expect(sessions).toHaveLength(2);
    expect(sessions[0]).toEqual({
      account: { bank: 'alpha', account: 'alice' }, currency: 'EUR', grant: 'grant-canary',
      login: { id: 's-1', expiresAtMs: START_MS + 86_400_000 }, issuer: 'gateway-1', jti, expiresAtMs,
    });
  });

  it('refuses a call without a token', async () => {
    expect(await refusalOf()).toBe('TOKEN_MISSING');
    expect(sessions).toEqual([]);
  });

  it('refuses what is not one bearer token', async () => {
    const { token } = await issue();
    for (const header of ['Bearer', token, `Basic ${token}`, `Bearer ${token} x`, `Bearer ${token}, Bearer ${token}`, 'Bearer a.b.c']) {
      expect(await refusalOf(header)).toBe('TOKEN_MALFORMED');
    }
  });

  it('refuses more than one header, and one over 8 KiB', async () => {
    const { token } = await issue();
    expect(await run([`Bearer ${token}`])).toBe('reached');
    await expect(run([`Bearer ${token}`, `Bearer ${token}`])).rejects.toMatchObject({ code: 'TOKEN_MALFORMED', message: expect.stringContaining('once') });
    await expect(run(['Bearer '])).rejects.toMatchObject({ code: 'TOKEN_MALFORMED' });
    await expect(run([''])).rejects.toMatchObject({ code: 'TOKEN_MALFORMED' });
    await expect(run([`Bearer ${'x'.repeat(8 * 1024)}`])).rejects.toMatchObject({ code: 'TOKEN_MALFORMED', message: expect.stringContaining('8192') });
  });

  it('refuses an expired token, also one that it has seen before', async () => {
    const { token, expiresAtMs } = await issue();
    expect(await refusalOf(`Bearer ${token}`)).toBeUndefined();
    nowMs = expiresAtMs;
    expect(await refusalOf(`Bearer ${token}`)).toBe('TOKEN_EXPIRED');
  });

  it('refuses a forged token and one of another issuer', async () => {
    const { token } = await issue();
    expect(await refusalOf(`Bearer ${token.slice(0, -4)}AAAA`)).toBe('TOKEN_FORGED');
    const elsewhere = createSessionTokens({ keys, issuer: 'gateway-2', nowMs: () => nowMs });
    const other = await elsewhere.issue({ account: { bank: 'alpha', account: 'alice' }, currency: 'EUR', grant: 'x', login: { id: 's-1', expiresAtMs: nowMs }, grantExpiresAtMs: nowMs + 60_000 });
    expect(await refusalOf(`Bearer ${other.token}`)).toBe('TOKEN_ISSUER');
  });

  it('refuses every token of a login that was revoked, and those of no other bank', async () => {
    const tokensOfLogin = await Promise.all([issue(), issue()]);
    const elsewhere = loginRevocation('beta', 's-1', nowMs + 60_000);
    await revocations.learn([elsewhere]);
    for (const { token } of tokensOfLogin) expect(await refusalOf(`Bearer ${token}`)).toBeUndefined();
    await revocations.learn([loginRevocation('alpha', 's-1', nowMs + 60_000)]);
    for (const { token } of tokensOfLogin) expect(await refusalOf(`Bearer ${token}`)).toBe('TOKEN_REVOKED');
  });

  it('refuses a revoked token in every spelling, also when it has seen it before', async () => {
    const { token, jti, expiresAtMs } = await issue();
    const spellings = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', (last) => `Bearer ${token.slice(0, -1)}${last}`);
    const before = await Promise.all(spellings.map((spelling) => refusalOf(spelling)));
    expect(before.filter((code) => code === undefined)).toHaveLength(16);
    await revocations.revoke('gateway-1', jti, expiresAtMs);
    sessions = [];
    const after = await Promise.all(spellings.map((spelling) => refusalOf(spelling)));
    expect(after.filter((code) => code === 'TOKEN_REVOKED')).toHaveLength(16);
    expect(after.filter((code) => code === undefined)).toEqual([]);
    expect(sessions).toEqual([]);
    expect(await refusalOf(`Bearer ${(await issue()).token}`)).toBeUndefined();
  });

  it('lets public methods and other services through, without a session', async () => {
    await createClient(SessionServiceDefinition, channel).login({}, { metadata: Metadata({ authorization: 'Bearer x' }) });
    await createClient(CoordinatorServiceDefinition, channel).inquireDecisions({});
    expect(sessions).toEqual([undefined, undefined]);
    await expect(createClient(SessionServiceDefinition, channel).logout({})).rejects.toMatchObject({ code: Status.UNAUTHENTICATED });
  });

  it('hands on what is not a refusal as it is', async () => {
    tokens.verify = () => Promise.reject(new Error('a bug'));
    await expect(run(['Bearer a.b.c'])).rejects.toThrow('a bug');
  });
});
