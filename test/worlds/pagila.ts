import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { World } from './world.ts';

/** Rows that are like those of Pagila, in its numbers' proportion. */
const data = `
  SET search_path = public;
  INSERT INTO language (name) VALUES ('English'), ('Italian'), ('Nepali');
  INSERT INTO category (name) SELECT 'Category ' || i FROM generate_series(1, 16) i;
  INSERT INTO country (country) SELECT 'Country ' || i FROM generate_series(1, 40) i;
  INSERT INTO city (city, country_id) SELECT 'City ' || i, 1 + i % 40 FROM generate_series(1, 200) i;
  INSERT INTO address (address, district, city_id, postal_code, phone)
    SELECT i || ' Street', 'District ' || i % 30, 1 + i % 200, lpad(i::text, 5, '0'), '+41 44 ' || i FROM generate_series(1, 400) i;
  BEGIN;
  ALTER TABLE staff DROP CONSTRAINT staff_store_id_fkey;
  INSERT INTO staff (first_name, last_name, address_id, store_id, username, picture)
    SELECT 'First ' || i, 'Last ' || i, i, i, 'user' || i, decode(repeat('00ff80', 400), 'hex') FROM generate_series(1, 2) i;
  INSERT INTO store (manager_staff_id, address_id) SELECT i, i FROM generate_series(1, 2) i;
  ALTER TABLE staff ADD CONSTRAINT staff_store_id_fkey FOREIGN KEY (store_id) REFERENCES store (store_id);
  COMMIT;
  INSERT INTO actor (first_name, last_name) SELECT 'Actor ' || i, 'Name ' || i % 120 FROM generate_series(1, 200) i;
  INSERT INTO film (title, description, release_year, language_id, length, rating, special_features)
    SELECT 'Film ' || i, 'An astounding tale of ' || md5(i::text), 1990 + i % 30, 1 + i % 3, 60 + i % 120,
      (enum_range(NULL::mpaa_rating))[1 + i % 5], CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN ARRAY['Trailers', 'Commentaries'] ELSE '{}' END
    FROM generate_series(1, 1000) i;
  INSERT INTO film_actor (actor_id, film_id) SELECT DISTINCT 1 + (i * 7919) % 200, 1 + i % 1000 FROM generate_series(1, 5000) i;
  INSERT INTO film_category (film_id, category_id) SELECT i, 1 + i % 16 FROM generate_series(1, 1000) i;
  INSERT INTO customer (store_id, first_name, last_name, email, address_id)
    SELECT 1 + i % 2, 'Zoë ' || i, 'Customer ' || i, i || '@example.invalid', 1 + i % 400 FROM generate_series(1, 600) i;
  INSERT INTO inventory (film_id, store_id) SELECT 1 + i % 1000, 1 + i % 2 FROM generate_series(1, 4000) i;
  INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id)
    SELECT '2022-01-01'::timestamptz + i * interval '10 minutes', 1 + i % 4000, 1 + i % 600, 1 + i % 2 FROM generate_series(1, 16000) i;
  INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date)
    SELECT customer_id, staff_id, rental_id, rental_id % 10 + 0.99, rental_date FROM rental;
  REFRESH MATERIALIZED VIEW rental_by_category;`;

/** Rentals of the load begin here, a millisecond apart: in the last partition of payments. */
const since = `'2022-07-01 12:00:00+00'::timestamptz`;

export const pagilaWorld: World = {
  name: 'pagila',
  is: 'the film rental of Pagila: partitions, enum, domain, tsvector trigger, views, aggregate, materialised view',

  async create({ asOwner }) {
    await asOwner(await readFile(join(import.meta.dirname, 'pagila', 'schema.sql'), 'utf8'));
    await asOwner(data);
  },

  migrations: {
    '001_reviews.sql': `
      CREATE TABLE film_review (review_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, film_id integer NOT NULL REFERENCES film, text text NOT NULL);
      ALTER TABLE film ADD COLUMN stars numeric(3, 2);`,
    '002_pictures.sql': 'ALTER TABLE staff DROP COLUMN picture;',
  },
  contract: ['002_pictures.sql'],

  clients: 4,
  everyMs: 25,
  request({ n, random, isNew }) {
    const film = random.whole(1, 4);
    const customer = random.whole(1, 601);
    return {
      writes: { rows: [`rental ${n}`], counters: { [`film ${film}`]: 1, paid: 2 } },
      run: ({ transaction }) =>
        transaction(async (client) => {
          const rented = await client.query<{ id: number }>(
            `INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id)
             VALUES (${since} + $1 * interval '1 millisecond', $2, $3, 1) RETURNING rental_id AS id`,
            [n, 1 + (n % 4000), customer],
          );
          const id = rented.rows[0]?.id;
          // Into the first partition and the last one.
          for (const month of ['2022-01-15', '2022-07-15'])
            await client.query(
              'INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date) VALUES ($1, 1, $2, 1, $3)',
              [customer, id, month],
            );
          await client.query('UPDATE film SET length = length + 1 WHERE film_id = $1', [film]);
          await client.query('UPDATE customer SET email = $2 WHERE customer_id = $1', [customer, `${n}@new.invalid`]);
          await client.query('UPDATE rental SET return_date = rental_date WHERE rental_id = $1', [id]);
          if (isNew) await client.query(`INSERT INTO film_review (film_id, text) VALUES ($1, 'good')`, [film]);
        }),
    };
  },

  ledger: {
    rows: `SELECT 'rental ' || round(extract(epoch FROM rental_date - ${since}) * 1000)::text AS key FROM rental WHERE rental_date > ${since}`,
    counters: `SELECT 'film ' || film_id AS name, length::text AS n FROM film WHERE film_id < 4
      UNION ALL SELECT 'paid', sum(amount)::bigint::text FROM payment WHERE amount = 1`,
  },
  invariants: [
    {
      name: 'each rental of the load is paid twice',
      sql: `
      SELECT r.rental_id FROM rental r LEFT JOIN payment p USING (rental_id) WHERE r.rental_date > ${since} GROUP BY 1 HAVING count(*) <> 2`,
    },
    {
      name: 'films can be searched',
      sql: `SELECT 1 WHERE NOT EXISTS (SELECT FROM film WHERE fulltext @@ to_tsquery('english', 'astounding'))`,
    },
  ],
};
