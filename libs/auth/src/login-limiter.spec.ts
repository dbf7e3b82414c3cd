// Logins and refreshes that come too often: what is refused before it is tried, and what is not.

import { describe, expect, it } from '@jest/globals';
import { createLoginLimiter, createRefreshLimiter, TooManyLoginsError, TooManyRefreshesError, type LoginLimiter } from './login-limiter.ts';

const wrong = async (): Promise<boolean> => false;
const right = async (): Promise<boolean> => true;

it('stops trying a user name that failed too often, also with the right password', async () => {
  const limiter = createLoginLimiter({ failuresMax: 3 });
  for (let attempt = 0; attempt < 3; attempt += 1) expect(await limiter.attempt('alice', wrong)).toBe(false);
  let isTried = false;
  const tried = async (): Promise<boolean> => (isTried = true);
  await expect(limiter.attempt('alice', tried)).rejects.toThrow(TooManyLoginsError);
  expect(isTried).toBe(false);
  expect(await limiter.attempt('carol', right)).toBe(true);
});

it('forgets failures after a success', async () => {
  const limiter = createLoginLimiter({ failuresMax: 2 });
  for (let round = 0; round < 5; round += 1) {
    expect(await limiter.attempt('alice', wrong)).toBe(false);
    expect(await limiter.attempt('alice', right)).toBe(true);
  }
});

it('counts nothing when the login could not be tried', async () => {
  const limiter = createLoginLimiter({ failuresMax: 1 });
  const broken = (): Promise<boolean> => Promise.reject(new Error('busy'));
  for (let round = 0; round < 3; round += 1) await expect(limiter.attempt('alice', broken)).rejects.toThrow('busy');
  expect(await limiter.attempt('alice', right)).toBe(true);
});

describe('logins of one user name at once', () => {
  /** Logins that wait, as for a hash, until they are told whether the password was right. */
  function openAtOnce(limiter: LoginLimiter, count: number) {
    const answers: ((isRight: boolean) => void)[] = [];
    const verify = (): Promise<boolean> => new Promise((resolve) => answers.push(resolve));
    const logins = Array.from({ length: count }, () => limiter.attempt('alice', verify).catch((error: unknown) => error));
    return { answers, logins };
  }
  const untilLookedUp = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

  it('are tried only as often as they may fail; the others are refused, and no hash is asked for', async () => {
    const limiter = createLoginLimiter({ failuresMax: 3 });
    const { answers, logins } = openAtOnce(limiter, 100);
    await untilLookedUp();
    expect(answers).toHaveLength(3);
    for (const answer of answers) answer(false);
    const outcomes = await Promise.all(logins);
    expect(outcomes.slice(0, 3)).toEqual([false, false, false]);
    expect(outcomes.slice(3).every((outcome) => outcome instanceof TooManyLoginsError)).toBe(true);
    await expect(limiter.attempt('alice', right)).rejects.toThrow(TooManyLoginsError);
  });

  it('are all let through when there are few, and leave nothing behind', async () => {
    const limiter = createLoginLimiter({ failuresMax: 3 });
    for (let round = 0; round < 4; round += 1) {
      const { answers, logins } = openAtOnce(limiter, 3);
      await untilLookedUp();
      for (const answer of answers) answer(true);
      expect(await Promise.all(logins)).toEqual([true, true, true]);
    }
  });

  it('count beside the failures that were before them', async () => {
    const limiter = createLoginLimiter({ failuresMax: 3 });
    await limiter.attempt('alice', wrong);
    const { answers, logins } = openAtOnce(limiter, 3);
    await untilLookedUp();
    expect(answers).toHaveLength(2);
    for (const answer of answers) answer(true);
    expect((await Promise.all(logins))[2]).toBeInstanceOf(TooManyLoginsError);
  });

  it('are forgotten when they could not be tried', async () => {
    const limiter = createLoginLimiter({ failuresMax: 2 });
    const broken = (): Promise<boolean> => Promise.reject(new Error('busy'));
    await Promise.allSettled([limiter.attempt('alice', broken), limiter.attempt('alice', broken)]);
    expect(await Promise.all([limiter.attempt('alice', right), limiter.attempt('alice', right)])).toEqual([true, true]);
  });
});

it('lets a user name log in only so often in a window, also with the right password, and no other one suffers', async () => {
  const limiter = createLoginLimiter({ successesMax: 3 });
  for (let login = 0; login < 3; login += 1) expect(await limiter.attempt('alice', right)).toBe(true);
  let isTried = false;
  const tried = async (): Promise<boolean> => (isTried = true);
  await expect(limiter.attempt('alice', tried)).rejects.toThrow(TooManyLoginsError);
  expect(isTried).toBe(false);
  expect(await limiter.attempt('carol', right)).toBe(true);
});

it('lets a session be refreshed only so often in a window, and no other session suffers', async () => {
  const limiter = createRefreshLimiter({ refreshesMax: 2 });
  for (let refresh = 0; refresh < 2; refresh += 1) await limiter.count('one');
  await expect(limiter.count('one')).rejects.toThrow(TooManyRefreshesError);
  await limiter.count('other');
});
