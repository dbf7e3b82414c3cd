// Session tokens: every fault has its code, no message has the token, and remembering changes nothing.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';
import { createGrants } from './grants.ts';
import { openKeyRing, type KeyRing } from './keys.ts';
import { readPublishedKeys } from './public-keys.ts';
import { createSessionTokens, type SessionTokens } from './session-tokens.ts';

const HOUR_MS = 3_600_000;
const START_MS = 1_800_000_000_000;

describe('session tokens', () => {
  let directory: string;
  let keys: KeyRing;
  let otherKeys: KeyRing;
  let tokens: SessionTokens;
  let nowMs: number;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-tokens-'));
    keys = await openKeyRing({ file: join(directory, 'keys.json') });
    otherKeys = await openKeyRing({ file: join(directory, 'other.json') });
  });

  afterAll(async () => {
    await rm(directory, { recursive: true });
  });

  beforeEach(() => {
    nowMs = START_MS;
    tokens = make();
  });

  const make = (options: Partial<Parameters<typeof createSessionTokens>[0]> = {}) =>
    createSessionTokens({ keys, issuer: 'gateway-1', nowMs: () => nowMs, ...options });
  const content = {
    account: { bank: 'alpha', account: 'alice' }, currency: 'EUR', grant: 'grant-text',
    login: { id: 's-1', expiresAtMs: START_MS + 720 * HOUR_MS }, grantExpiresAtMs: START_MS + 2 * HOUR_MS,
  };
  const claims: JWTPayload = {
    iss: 'gateway-1', aud: 'strife', exp: START_MS / 1000 + 60, iat: START_MS / 1000, jti: 'id-1',
    bank: 'alpha', account: 'alice', currency: 'EUR', grant: 'grant-text', sid: 's-1', sid_exp: START_MS + 720 * HOUR_MS,
  };
  const header = () => ({ alg: 'EdDSA', typ: 'strife-session+jwt', kid: keys.kid });
  const sign = (payload: JWTPayload, changes: Record<string, string | undefined> = {}) =>
    new SignJWT(payload).setProtectedHeader({ ...header(), ...changes }).sign(keys.signingKey);

  const refusalOf = async (token: string, verifier = tokens) => {
    const error = await verifier.verify(token).then(() => undefined, (reason: Error & { code?: string }) => reason);
    if (token.length > 20) expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(token.slice(-20));
    if (error) expect(error).toMatchObject({ name: 'AuthError', message: expect.stringMatching(/^authorization: .+; /) });
    return error?.code;
  };

  it('gives back the session that was issued, for one hour', async () => {
    const { token, expiresAtMs, jti } = await tokens.issue(content);
    expect(expiresAtMs).toBe(START_MS + HOUR_MS);
    expect(await tokens.verify(token)).toEqual({
      account: { bank: 'alpha', account: 'alice' }, currency: 'EUR', grant: 'grant-text', login: content.login, issuer: 'gateway-1', jti, expiresAtMs,
    });
  });

  it('gives every token an id of its own', async () => {
    expect((await tokens.issue(content)).jti).not.toBe((await tokens.issue(content)).jti);
  });

  it('never outlives the grant', async () => {
    const { expiresAtMs } = await tokens.issue({ ...content, grantExpiresAtMs: START_MS + 5_999 });
    expect(expiresAtMs).toBe(START_MS + 5_000);
    await expect(tokens.issue({ ...content, grantExpiresAtMs: START_MS })).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
  });

  it('accepts until the last millisecond and refuses from the next on, remembered or not', async () => {
    const { token, expiresAtMs } = await tokens.issue(content);
    await tokens.verify(token);
    nowMs = expiresAtMs - 1;
    expect(await refusalOf(token)).toBeUndefined();
    expect(await refusalOf(token, make())).toBeUndefined();
    nowMs = expiresAtMs;
    expect(await refusalOf(token)).toBe('TOKEN_EXPIRED');
    expect(await refusalOf(token, make())).toBe('TOKEN_EXPIRED');
  });

  it('verifies a text once, and then remembers it', async () => {
    const { token } = await tokens.issue(content);
    const first = await tokens.verify(token);
    expect(await tokens.verify(token)).toBe(first);
    expect(Object.isFrozen(first) && Object.isFrozen(first.account)).toBe(true);
  });

  it('forgets a text that it remembered when its key no longer counts', async () => {
    let counts = true;
    const verifier = make({ keys: { ...keys, verificationKey: (kid) => (counts ? keys.verificationKey(kid) : undefined) } });
    const { token } = await tokens.issue(content);
    expect(await refusalOf(token, verifier)).toBeUndefined();
    counts = false;
    expect(await refusalOf(token, verifier)).toBe('TOKEN_FORGED');
  });

  describe('of other issuers', () => {
    const published = () => readPublishedKeys(otherKeys.published())!;
    const trusting = () => make({ trusted: (issuer) => (issuer === 'gateway-2' ? published() : undefined) });

    it('accepts one that a trusted issuer signed for itself, and says who issued it', async () => {
      const elsewhere = make({ issuer: 'gateway-2', keys: otherKeys });
      const { token, jti } = await elsewhere.issue(content);
      expect(await trusting().verify(token)).toMatchObject({ issuer: 'gateway-2', jti, account: { bank: 'alpha', account: 'alice' } });
      nowMs += HOUR_MS;
      expect(await refusalOf(token, trusting())).toBe('TOKEN_EXPIRED');
    });

    it('refuses an issuer that is not trusted, or no longer', async () => {
      const { token } = await make({ issuer: 'gateway-3', keys: otherKeys }).issue(content);
      expect(await refusalOf(token, trusting())).toBe('TOKEN_ISSUER');
      let trusted = true;
      const verifier = make({ trusted: () => (trusted ? published() : undefined) });
      expect(await refusalOf(token, verifier)).toBeUndefined();
      trusted = false;
      expect(await refusalOf(token, verifier)).toBe('TOKEN_ISSUER');
    });

    it('refuses what a trusted issuer signed in the name of another, and what we signed in its name', async () => {
      expect(await refusalOf((await make({ keys: otherKeys }).issue(content)).token, trusting())).toBe('TOKEN_FORGED');
      expect(await refusalOf((await make({ issuer: 'gateway-2' }).issue(content)).token, trusting())).toBe('TOKEN_FORGED');
    });

    it('holds them to the same audience, type and claims', async () => {
      const verifier = trusting();
      expect(await refusalOf((await make({ issuer: 'gateway-2', keys: otherKeys, audience: 'shop' }).issue(content)).token, verifier)).toBe('TOKEN_ISSUER');
      const foreign = (payload: JWTPayload, changes = {}) =>
        new SignJWT({ ...claims, iss: 'gateway-2', ...payload }).setProtectedHeader({ ...header(), kid: otherKeys.kid, ...changes }).sign(otherKeys.signingKey);
      expect(await refusalOf(await foreign({}), verifier)).toBeUndefined();
      expect(await refusalOf(await foreign({}, { typ: 'strife-grant+jwt' }), verifier)).toBe('TOKEN_MALFORMED');
      expect(await refusalOf(await foreign({ currency: 'euro' }), verifier)).toBe('TOKEN_MALFORMED');
    });
  });

  it('accepts a token as written by hand, so that the refusals below are for the one thing that differs', async () => {
    expect(await refusalOf(await sign(claims))).toBeUndefined();
  });

  it('refuses no token, and what does not look like one', async () => {
    expect(await refusalOf('')).toBe('TOKEN_MISSING');
    const { token } = await tokens.issue(content);
    const [head, body, signature] = token.split('.') as [string, string, string];
    for (const text of ['x', 'a.b', 'a.b.c', 'a.b.c.d', `${head}.${body}`, `${token}.`, `${token} `, ` ${token}`, `${token}=`, `${token}\n`,
      `${head}.${body}\n.${signature}`, `.${body}.${signature}`, `bnVsbA.${body}.${signature}`, 'x'.repeat(10_000_000), `${token}${'A'.repeat(9000)}`]) {
      expect(await refusalOf(text)).toBe('TOKEN_MALFORMED');
    }
  });

  it('refuses any text with a typed error', async () => {
    const part = fc.oneof(fc.base64String(), fc.json().map((text) => Buffer.from(text).toString('base64url')), fc.string());
    await fc.assert(fc.asyncProperty(fc.oneof(fc.string(), fc.tuple(part, part, part).map((parts) => parts.join('.'))), async (text) => {
      expect(await refusalOf(text)).toMatch(/^TOKEN_/);
    }), { numRuns: 300 });
  });

  it('refuses a changed token', async () => {
    const { token } = await tokens.issue(content);
    const [head, body, signature] = token.split('.') as [string, string, string];
    const forged = Buffer.from(JSON.stringify({ ...claims, account: 'mallory' })).toString('base64url');
    expect(await refusalOf(`${head}.${forged}.${signature}`)).toBe('TOKEN_FORGED');
    expect(await refusalOf(`${head}.${body}.`)).toBe('TOKEN_FORGED');
    expect(await refusalOf(`${head}.${body}.${signature.slice(0, -2)}`)).toBe('TOKEN_FORGED');
    expect(await refusalOf(await new SignJWT(claims).setProtectedHeader(header()).sign(otherKeys.signingKey))).toBe('TOKEN_FORGED');
  });

  it('refuses every other last character, or takes it as a spelling of the same token', async () => {
    const { token, jti } = await tokens.issue(content);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const results = await Promise.all(Array.from(alphabet, async (last) => {
      const spelled = `${token.slice(0, -1)}${last}`;
      return tokens.verify(spelled).then((session) => session.jti, (error: { code: string }) => error.code);
    }));
    // The last character of a 64-byte signature has two bits that count and four that do not.
    expect(results.filter((result) => result === jti)).toHaveLength(16);
    expect(results.filter((result) => result === 'TOKEN_FORGED')).toHaveLength(48);
  });

  it('refuses algorithm none, and the public key as an HMAC secret', async () => {
    const none = new UnsecuredJWT(claims).encode();
    expect(await refusalOf(none)).toBe('TOKEN_FORGED');
    const [, body] = none.split('.');
    const head = Buffer.from(JSON.stringify({ ...header(), alg: 'none' })).toString('base64url');
    expect(await refusalOf(`${head}.${body}.`)).toBe('TOKEN_FORGED');
    const publicKey = keys.publicJwks().keys[0]!.x;
    for (const secret of [Buffer.from(publicKey, 'base64url'), Buffer.from(publicKey), Buffer.from(JSON.stringify(keys.publicJwks().keys[0]))]) {
      expect(await refusalOf(await new SignJWT(claims).setProtectedHeader({ ...header(), alg: 'HS256' }).sign(secret))).toBe('TOKEN_FORGED');
    }
  });

  it('refuses a key that the token brings along', async () => {
    const jwk = otherKeys.publicJwks().keys[0]!;
    const token = await new SignJWT(claims).setProtectedHeader({ ...header(), kid: jwk.kid, jwk: { ...jwk } }).sign(otherKeys.signingKey);
    expect(await refusalOf(token)).toBe('TOKEN_FORGED');
  });

  it('refuses a token without a key id, or with an unknown one', async () => {
    expect(await refusalOf(await sign(claims, { kid: undefined }))).toBe('TOKEN_FORGED');
    expect(await refusalOf(await sign(claims, { kid: '../../etc/passwd' }))).toBe('TOKEN_FORGED');
  });

  it('refuses another issuer, with its keys or with ours, and another audience', async () => {
    const elsewhere = await make({ issuer: 'gateway-2', keys: otherKeys }).issue(content);
    expect(await refusalOf(elsewhere.token)).toBe('TOKEN_ISSUER');
    expect(await refusalOf((await make({ issuer: 'gateway-2' }).issue(content)).token)).toBe('TOKEN_ISSUER');
    expect(await refusalOf((await make({ audience: 'shop' }).issue(content)).token)).toBe('TOKEN_ISSUER');
  });

  it('refuses another type: a grant is no session, although the same key signed it', async () => {
    const { grant } = await createGrants({ keys, bank: 'gateway-1', nowMs: () => nowMs }).issue({ account: 'alice', currency: 'EUR', sessionId: 's-1' });
    expect(await refusalOf(grant)).toBe('TOKEN_MALFORMED');
    expect(await refusalOf(await sign(claims, { typ: 'strife-grant+jwt' }))).toBe('TOKEN_MALFORMED');
    expect(await refusalOf(await sign(claims, { typ: 'JWT' }))).toBe('TOKEN_MALFORMED');
    expect(await refusalOf(await sign(claims, { typ: undefined }))).toBe('TOKEN_MALFORMED');
  });

  it.each(['bank', 'account', 'currency', 'grant', 'jti', 'exp'])('refuses a token whose %s is missing or of the wrong shape', async (name) => {
    for (const value of [undefined, '', null, ['x'], { x: 1 }, ...(name === 'exp' ? ['1800000060'] : [7])]) {
      expect(await refusalOf(await sign({ ...claims, [name]: value }))).toBe('TOKEN_MALFORMED');
    }
  });

  it('refuses a token that is not valid yet', async () => {
    expect(await refusalOf(await sign({ ...claims, nbf: START_MS / 1000 + 1 }))).toBe('TOKEN_MALFORMED');
  });
});
