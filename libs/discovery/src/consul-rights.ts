// What a token may not do at Consul, in words that name the right that lacks.

import { askAgent, type AgentAddress } from './connect-agent.ts';
import type { CallError } from './consul-link.ts';

/** `this token may not register strife-bank-beta (service:write)` */
export function mayNot(what: string, right: string): string {
  return `this token may not ${what} (${right})`;
}

/** A refusal names the right; whatever else went wrong is told in Consul's words. */
export function describeCallError({ status, message }: CallError, refusal: string): string {
  if (status !== 403) return message;
  return message.includes('ACL not found') ? 'consul: this token is not known there (ACL not found)' : `consul: ${refusal}`;
}

export interface Right {
  readonly resource: 'service' | 'node';
  /** With `read`, also what names begin with. */
  readonly name: string;
  readonly access: 'read' | 'write';
}

const QUESTION_TIMEOUT_MS = 5000;

/**
 * Consul leaves out of its lists what a token may not read, without a word, so that nobody would know. Those rights that it says are lacking; none where it
 * cannot tell: the question is one of Consul's own interface for people, and no version promises it.
 */
export async function findMissingRights(agent: AgentAddress, rights: readonly Right[]): Promise<readonly Right[]> {
  try {
    const question = rights.map(({ resource, name, access }) => ({ Resource: resource, Segment: name, Access: access }));
    const { body } = await askAgent(agent, { path: '/v1/internal/acl/authorize', body: question, timeoutMs: QUESTION_TIMEOUT_MS });
    const answers = body as readonly { Allow?: unknown }[];
    return rights.filter((_, index) => answers[index]?.Allow === false);
  } catch {
    return [];
  }
}
