import assert from "node:assert/strict";
import test from "node:test";

import { Requests } from "./revision.js";

test("a request is told until Python confirms it, and the next one after it", () => {
  const requests = new Requests();
  requests.hear(3); // of an earlier visit to the page
  requests.add("humanize");
  requests.add("tempo");
  assert.equal(requests.next(), true);
  assert.deepEqual([requests.now, requests.revision.number], ["humanize", 4]);
  requests.hear(3);
  assert.equal(requests.next(), false);
  assert.deepEqual([requests.now, requests.revision.number], ["humanize", 4]);
  requests.hear(4);
  assert.equal(requests.next(), true);
  assert.deepEqual([requests.now, requests.revision.number], ["tempo", 5]);
  requests.hear(5);
  assert.equal(requests.next(), false);
  assert.equal(requests.now, null);
});

test("what was confirmed is not asked of a new server", () => {
  const requests = new Requests();
  requests.add("humanize");
  requests.next();
  requests.hear(1);
  requests.hear(0);
  assert.equal(requests.next(), false);
  assert.equal(requests.now, null);
  requests.add("tempo");
  assert.equal(requests.next(), true);
  assert.equal(requests.revision.isUnconfirmed, true);
});
