// Amounts typed as people write them, for the argument of a payment.

import { MoneyError, parseAmount, type Money } from '@strife/ledger';
import { InvalidArgumentError } from './errors.ts';

/**
 * An amount such as `money('KWD', '1.250')`.
 *
 * @throws InvalidArgumentError with `field: 'amount'` for anything but plain digits with at most as many decimals as the
 *   currency has, or `field: 'currency'` for one that is not in ISO 4217.
 */
export function money(currency: string, amount: string): Money {
  return asArgument(() => parseAmount(amount, currency));
}

/** US dollars: `usd('12.50')`. Throws as `money` does. */
export function usd(amount: string): Money {
  return money('USD', amount);
}

/** Euros: `eur('12.50')`. Throws as `money` does. */
export function eur(amount: string): Money {
  return money('EUR', amount);
}

/** Runs a check of money; what is wrong with it is thrown as InvalidArgumentError. Nothing was sent. */
export function asArgument<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof MoneyError)) throw error;
    const { field, message } = error;
    const code = `INVALID_${field.toUpperCase()}`;
    throw new InvalidArgumentError(message, { code, field, outcome: 'not_applied', cause: error });
  }
}
