import type { Table } from '../handler.ts';
import { access } from './types/access.ts';
import { balancers } from './types/balancer.ts';
import { containers } from './types/containers.ts';
import { databases } from './types/databases.ts';
import { functions } from './types/functions.ts';
import { images } from './types/images.ts';
import { listeners } from './types/listener.ts';
import { messages } from './types/messages.ts';
import { monitoring } from './types/monitoring.ts';
import { names } from './types/names.ts';
import { network } from './types/network.ts';
import { recordedTypes } from './types/recorded.ts';
import { rights } from './types/rights.ts';
import { scaling } from './types/scaling.ts';
import { secrets } from './types/secrets.ts';
import { storage } from './types/storage.ts';

export { recordedOnly } from './types/recorded.ts';

/** Handlers of all types that a program of infra/aws may declare, by type token. */
export const table: Table = {
  ...network,
  ...access,
  ...balancers,
  ...listeners,
  ...containers,
  ...databases,
  ...secrets,
  ...storage,
  ...rights,
  ...messages,
  ...monitoring,
  ...images,
  ...functions,
  ...names,
  ...scaling,
  ...recordedTypes,
};
