// The client's own certificate, and how long any certificate is still good.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TlsOptions } from '@strife/sdk';
import { certificateFiles } from '../gateway.ts';
import type { Settings } from '../settings.ts';
import { failure, ok, warning, type Finding } from './finding.ts';

const HOUR_MS = 3_600_000;
/** A certificate that ends sooner, and in less than a tenth of its life, was not renewed in time. */
const SOON_MS = 24 * HOUR_MS;
const LIFE_LEFT_MIN = 0.1;

/** The certificates that calls would use, with what is to be said of them; without them nothing else can be asked. */
export function checkOwnCertificate(settings: Settings): { tls: TlsOptions | undefined; findings: Finding[] } {
  const check = `certificate ${settings.certificate}`;
  let tls: { ca: Buffer; cert: Buffer; key: Buffer };
  try {
    const { ca, cert, key } = certificateFiles(settings);
    tls = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
  } catch (error) {
    return { tls: undefined, findings: [failure(check, (error as Error).message, 'See strife config explain, certs_dir and certificate.')] };
  }
  try {
    const certificate = new X509Certificate(tls.cert);
    if (!certificate.checkPrivateKey(createPrivateKey(tls.key))) {
      return { tls: undefined, findings: [failure(check, 'the private key is of another certificate')] };
    }
    const name = certificate.subjectAltName ?? 'no identity';
    return { tls, findings: [validity(check, name, new Date(certificate.validFrom), new Date(certificate.validTo))] };
  } catch (error) {
    return { tls: undefined, findings: [failure(check, `cannot be read: ${(error as Error).message}`)] };
  }
}

/** Whether a certificate is good now, and for how long. */
export function validity(check: string, name: string, from: Date, to: Date, nowMs = Date.now()): Finding {
  const until = `${name}, valid until ${to.toISOString()}`;
  if (nowMs < from.getTime()) return failure(check, `${name}, not valid before ${from.toISOString()}`, 'Is the clock of this machine right?');
  if (nowMs >= to.getTime()) return failure(check, `${name}, expired at ${to.toISOString()}`, 'Have it renewed; see certs/README.md or the log of the service.');
  const leftMs = to.getTime() - nowMs;
  const isLate = leftMs < SOON_MS && leftMs < (to.getTime() - from.getTime()) * LIFE_LEFT_MIN;
  return isLate ? warning(check, until, 'It ends soon and was not renewed.') : ok(check, until);
}
