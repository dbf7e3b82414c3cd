import { expect, it } from '@jest/globals';
import { createLoginLimiter, createRefreshLimiter, TooManyLoginsError, TooManyRefreshesError } from './login-limiter.ts';

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

it('lets a session be refreshed only so often in a window, and no other session suffers', async () => {
  const limiter = createRefreshLimiter({ refreshesMax: 2 });
  for (let refresh = 0; refresh < 2; refresh += 1) await limiter.count('one');
  await expect(limiter.count('one')).rejects.toThrow(TooManyRefreshesError);
  await limiter.count('other');
});
