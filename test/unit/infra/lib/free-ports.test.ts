import { expect } from 'chai';
import { temporaryPortsEnd, temporaryPortsFrom } from '../../../../infra/lib/free-ports.ts';

/** Stands in for the connection, so that `fetch` opens none. */
const dispatcher = {
  dispatch: () => {
    throw new Error('allowed');
  },
} as unknown as NonNullable<RequestInit['dispatcher']>;

const answer = (port: number): Promise<string> =>
  fetch(`http://127.0.0.1:${port}`, { dispatcher }).then(
    () => 'answered',
    (error: Error) => (error.cause as Error).message,
  );

describe('ports of temporary servers', () => {
  it('are none that fetch and browsers refuse to open', async () => {
    expect(await answer(10_080)).to.equal('bad port');
    const refused: number[] = [];
    for (let port = temporaryPortsFrom; port < temporaryPortsEnd; port += 1)
      if ((await answer(port)) !== 'allowed') refused.push(port);
    expect(refused).to.deep.equal([]);
  });
});
