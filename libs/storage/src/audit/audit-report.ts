// What an audit says, and how violations are gathered: one line a kind, with the first of the ids involved.

/** The number of the invariant in docs/protocol: "Invariants". The sixth is about time and cannot be read from stores. */
export type Invariant = 1 | 2 | 3 | 4 | 5;

export interface AuditReport {
  /** No violation was found in what was given; see `notAudited` for what was not. */
  readonly ok: boolean;
  readonly banks: readonly AuditedBank[];
  /** Ids with a leg at a bank or a row in a decision log. */
  readonly transfersChecked: number;
  /** Of those, with a leg that is prepared somewhere. */
  readonly inDoubt: number;
  readonly violations: readonly Violation[];
  /** What the books speak of and nobody gave a store of: about dealings with these, only this side's word was heard. */
  readonly notAudited: { readonly banks: readonly string[]; readonly logs: readonly string[] };
}

export interface AuditedBank {
  readonly name: string;
  readonly accounts: number;
  readonly legs: number;
  readonly entries: number;
  /** What all customers own together, in minor units, by currency. */
  readonly totals: Readonly<Record<string, string>>;
}

export interface Violation {
  readonly invariant: Invariant;
  readonly message: string;
  /** Transfer ids, or accounts written `bank/account`: the first IDS_NAMED_MAX. */
  readonly ids: readonly string[];
  /** How many findings there are, named or not. */
  readonly count: number;
}

/** The most ids that one violation names. */
export const IDS_NAMED_MAX = 20;

/** One thing that is wrong with one transfer or account. */
export interface Finding {
  readonly invariant: Invariant;
  /** Without the id, so that equal findings make one violation. */
  readonly message: string;
  readonly id: string;
}

export class Findings {
  readonly #violations = new Map<string, { invariant: Invariant; message: string; ids: string[]; count: number }>();

  add({ invariant, message, id }: Finding): void {
    const key = `${invariant} ${message}`;
    let violation = this.#violations.get(key);
    if (violation === undefined) {
      violation = { invariant, message, ids: [], count: 0 };
      this.#violations.set(key, violation);
    }
    violation.count += 1;
    if (violation.ids.length < IDS_NAMED_MAX && !violation.ids.includes(id)) violation.ids.push(id);
  }

  list(): Violation[] {
    return [...this.#violations.values()].sort((one, other) => one.invariant - other.invariant);
  }
}
