import { Supervisor } from '../supervisor/supervisor.ts';
import { layoutOf, place, type Handler } from './handler.ts';

/** The environment's supervisord. */
export const supervisor: Handler = {
  inputs: place,
  async create(inputs) {
    await new Supervisor(layoutOf(inputs)).start();
    return {};
  },
  async read(state) {
    return (await new Supervisor(layoutOf(state)).running()) ? 'as recorded' : 'absent';
  },
  update(inputs) {
    return supervisor.create(inputs);
  },
  async delete(state) {
    await new Supervisor(layoutOf(state)).shutdown();
  },
};
