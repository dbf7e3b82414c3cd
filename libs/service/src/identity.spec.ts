import { describe, expect, it } from '@jest/globals';
import { identityFromAltNames, parseIdentity } from './identity.ts';

describe('parseIdentity', () => {
  it.each([
    ['spiffe://strife.local/gateway/g1', 'gateway', 'g1'],
    ['spiffe://strife.local/bank/alpha', 'bank', 'alpha'],
    ['spiffe://strife.local/client/alice-laptop', 'client', 'alice-laptop'],
    ['spiffe://strife.local/operator/root', 'operator', 'root'],
  ])('reads %s', (uri, role, name) => {
    expect(parseIdentity(uri)).toEqual({ uri, trustDomain: 'strife.local', role, name });
  });

  it.each([
    '',
    'alpha',
    'spiffe://strife.local',
    'spiffe://strife.local/bank',
    'spiffe://strife.local/bank/',
    'spiffe://strife.local/bank/alpha/',
    'spiffe://strife.local/bank/alpha/beta',
    'spiffe://strife.local//alpha',
    'spiffe://strife.local/teller/alpha',
    'spiffe://strife.local/bank/Alpha',
    'spiffe://strife.local/bank/-alpha',
    'spiffe://strife.local/bank/al%70ha',
    'spiffe://strife.local/bank/alpha?x=1',
    'spiffe://strife.local/bank/alpha\n',
    'spiffe:///bank/alpha',
    'https://strife.local/bank/alpha',
    `spiffe://strife.local/bank/${'a'.repeat(64)}`,
    '127.0.0.1:5000: not a Strife identity: spiffe://strife.local/bank/alpha',
  ])('refuses %j', (uri) => {
    expect(parseIdentity(uri)).toBeUndefined();
  });
});

describe('identityFromAltNames', () => {
  it('takes a single URI of our trust domain', () => {
    expect(identityFromAltNames('URI:spiffe://strife.local/bank/alpha')).toMatchObject({ role: 'bank', name: 'alpha' });
  });

  it.each([
    [undefined, 'no subject alternative name'],
    ['DNS:localhost', 'exactly one'],
    ['URI:spiffe://strife.local/bank/alpha, DNS:localhost', 'exactly one'],
    ['URI:spiffe://strife.local/bank/alpha, URI:spiffe://strife.local/gateway/g1', 'exactly one'],
    ['URI:spiffe://other.example/bank/alpha', 'trust domain other.example'],
    ['URI:"spiffe://strife.local/bank/alpha, URI:x"', 'exactly one'],
    ['URI:https://strife.local', 'not a Strife identity'],
  ])('refuses %s', (names, reason) => {
    expect(identityFromAltNames(names)).toContain(reason);
  });
});
