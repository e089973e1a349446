import { expect } from 'chai';
import type { Comparison } from '../../../../automation/data/comparison/everything.ts';
import { comparisonJson, renderComparison } from '../../../../automation/ui/comparison.ts';
import { painter } from '../../../../automation/ui/text.ts';

const equal: Comparison = {
  verdict: 'equal',
  versions: { left: '15.4', right: '17.2' },
  tables: [{ table: 'public.orders', rows: { left: 1200, right: 1200 }, equal: true }],
  sequences: { left: 1, right: 1, different: [] },
  catalog: { left: 12, right: 12, different: [] },
  notRead: [],
  leftOut: [],
  writtenTo: [],
};
const sides = { left: 'shop on a:5432 as reader', right: 'shop on b:5432 as reader' };
const shown = (found: Partial<Comparison>) => renderComparison({ ...equal, ...found }, sides, painter(false));

describe('what compare shows', () => {
  it('says of equal databases what was compared', () => {
    expect(shown({})).to.equal(
      [
        'left   shop on a:5432 as reader, PostgreSQL 15.4',
        'right  shop on b:5432 as reader, PostgreSQL 17.2',
        '',
        'equal',
        'compared: 1,200 rows of 1 table, 1 sequence, 12 catalog objects',
      ].join('\n'),
    );
  });

  it('names differences by table, sequence and object', () => {
    const text = shown({
      verdict: 'different',
      tables: [
        { table: 'public.orders', rows: { left: 2, right: 1 }, equal: false, detail: '1 row only on left (id = 5)' },
        { table: 'public.late', rows: { left: 0, right: 7 }, equal: false, only: 'right', detail: 'only on right' },
        { table: 'large objects', rows: { left: 3, right: 3 }, equal: true },
      ],
      sequences: {
        left: 2,
        right: 1,
        different: [
          { name: 'public.s', left: '5', right: '4' },
          { name: 'public.t', left: '1' },
        ],
      },
      catalog: { left: 1, right: 1, different: [{ kind: 'function', name: 'f()', left: 'a', right: 'b' }] },
    });
    expect(text.split('\n').slice(3)).to.deep.equal([
      '   table          left  right',
      '✕  public.orders  2     1      1 row only on left (id = 5)',
      '✕  public.late    -     7      only on right',
      '✕  sequence  public.s  left 5, right 4',
      '✕  sequence  public.t  only on left',
      '✕  function  f()  differs',
      '',
      'different: 2 tables, 2 sequences, 1 catalog object',
      'compared: 9 rows of 2 tables, 3 large objects, 2 sequences, 1 catalog object',
    ]);
  });

  it('says what equal and different are worth: one database twice, two versions', () => {
    expect(shown({ sameDatabase: true })).to.include('left and right are the same database');
    const different = [{ kind: 'view', name: 'public.v', left: 'SELECT t.a', right: 'SELECT a' }];
    const remark = 'PostgreSQL 15 and 17 may write views and rights in different words that mean the same';
    expect(shown({ catalog: { left: 1, right: 1, different } })).to.include(remark);
    expect(
      shown({ catalog: { left: 1, right: 1, different }, versions: { left: '15.4', right: '15.6' } }),
    ).not.to.include(remark);
  });

  it('never calls equal what it could not read, and says what it left out', () => {
    const notRead = [{ what: 'public.x', side: 'right' as const, reason: 'permission denied\u001b[31m for table x' }];
    const { catalog, ...rest } = equal;
    expect(catalog).not.to.equal(undefined);
    const unknown = {
      ...rest,
      verdict: 'unknown' as const,
      notRead,
      leftOut: ['greenlight.lamps', 'public.f'],
      writtenTo: ['left' as const],
    };
    const text = renderComparison(unknown, sides, painter(false));
    expect(text).to.include('?  public.x  not read on right: permission denied for table x');
    expect(text).to.include('not known: no difference found, but 1 thing could not be read');
    expect(text).to.include('not compared: the catalog').and.to.include('rows of foreign tables (public.f)');
    expect(text).to.match(/not compared: the schema greenlight.* \(greenlight\.lamps\)/);
    expect(text).to.include('written to meanwhile: left; the rows are those of one moment on each side');
  });

  it('shows 50 differences of a kind, and all of them as JSON', () => {
    const different = Array.from({ length: 80 }, (_, i) => ({ kind: 'view', name: `v${i}`, left: 'x' }));
    const found: Comparison = { ...equal, verdict: 'different', catalog: { left: 80, right: 0, different } };
    expect(shown(found).match(/✕/g)).to.have.length(50);
    expect(shown(found)).to.include('and 30 more (--json has all)');
    expect((JSON.parse(comparisonJson(found, sides)) as Comparison).catalog?.different).to.have.length(80);
  });
});
