import { describe, expect, it } from '@jest/globals';
import { createAuthority } from '@strife/certs';
import { identityFromAltNames, parseIdentity, TRUST_DOMAIN, trustDomainOf } from './identity.ts';

const CLUSTER = '1c053652-8512-4373-90cf-5a7f6263a994.consul';
const SERVICES = `spiffe://${CLUSTER}/ns/default/dc/dc1/svc`;

describe('parseIdentity', () => {
  it.each([
    ['spiffe://strife.local/gateway/g1', 'gateway', 'g1'],
    ['spiffe://strife.local/bank/alpha', 'bank', 'alpha'],
    ['spiffe://strife.local/client/alice-laptop', 'client', 'alice-laptop'],
    ['spiffe://strife.local/operator/root', 'operator', 'root'],
  ])('reads %s of the development authority', (uri, role, name) => {
    expect(parseIdentity(uri)).toEqual({ uri, trustDomain: 'strife.local', role, name });
  });

  it.each([
    [`${SERVICES}/strife-gateway-g1`, 'gateway', 'g1'],
    [`${SERVICES}/strife-bank-alpha`, 'bank', 'alpha'],
    [`${SERVICES}/strife-bank-north-sea`, 'bank', 'north-sea'],
    [`${SERVICES}/strife-client`, 'client', 'client'],
    [`${SERVICES}/strife-operator`, 'operator', 'operator'],
    [`spiffe://${CLUSTER}/ns/default/dc/eu_west-1/svc/strife-gateway-g1`, 'gateway', 'g1'],
  ])('reads %s of Consul', (uri, role, name) => {
    expect(parseIdentity(uri)).toEqual({ uri, trustDomain: CLUSTER, role, name });
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
    `${SERVICES}/web`,
    `${SERVICES}/strife-bank`,
    `${SERVICES}/strife-bank-`,
    `${SERVICES}/strife-bank-Alpha`,
    `${SERVICES}/strife-teller`,
    `${SERVICES}/strife-gateway`,
    `${SERVICES}/strife-gateway/extra`,
    `${SERVICES}/strife-bank-alpha\n`,
    `spiffe://${CLUSTER}/ns/other/dc/dc1/svc/strife-gateway`,
    `spiffe://${CLUSTER}/ap/other/ns/default/dc/dc1/svc/strife-gateway`,
    `spiffe://${CLUSTER}/agent/client/dc/dc1/id/strife-gateway`,
  ])('refuses %j', (uri) => {
    expect(parseIdentity(uri)).toBeUndefined();
  });
});

describe('identityFromAltNames', () => {
  it.each([
    [TRUST_DOMAIN, 'URI:spiffe://strife.local/bank/alpha'],
    [CLUSTER, `URI:${SERVICES}/strife-bank-alpha`],
  ])('takes a single URI of the trust domain %s', (trustDomain, names) => {
    expect(identityFromAltNames(names, trustDomain)).toMatchObject({ role: 'bank', name: 'alpha', trustDomain });
  });

  it.each([
    [undefined, 'no subject alternative name'],
    ['DNS:localhost', 'exactly one'],
    ['URI:spiffe://strife.local/bank/alpha, DNS:localhost', 'exactly one'],
    ['URI:spiffe://strife.local/bank/alpha, URI:spiffe://strife.local/gateway/g1', 'exactly one'],
    ['URI:spiffe://other.example/bank/alpha', 'trust domain other.example is not strife.local'],
    [`URI:${SERVICES}/strife-bank-alpha`, `trust domain ${CLUSTER} is not strife.local`],
    ['URI:"spiffe://strife.local/bank/alpha, URI:x"', 'exactly one'],
    ['URI:https://strife.local', 'not a Strife identity'],
  ])('refuses %s', (names, reason) => {
    expect(identityFromAltNames(names, TRUST_DOMAIN)).toContain(reason);
  });
});

describe('trustDomainOf', () => {
  it.each([
    ['spiffe://strife.local/bank/alpha', 'strife.local'],
    [`${SERVICES}/strife-bank-alpha`, CLUSTER],
    ['https://strife.example', TRUST_DOMAIN],
  ])('of a certificate with %s is %s', async (uri, trustDomain) => {
    const { cert } = await (await createAuthority()).issue({ uris: [uri] });
    expect(trustDomainOf(cert)).toBe(trustDomain);
  });
});
