import assert from "node:assert/strict";
import test from "node:test";

import { Requests } from "./revision.js";

test("a request is sent until Python confirms it, and the next one after it", () => {
  const requests = new Requests();
  requests.receive(3); // of an earlier visit to the page
  requests.add("humanize");
  requests.add("tempo");
  assert.equal(requests.next(), true);
  assert.deepEqual([requests.now, requests.revision.number], ["humanize", 4]);
  requests.receive(3);
  assert.equal(requests.next(), false);
  assert.deepEqual([requests.now, requests.revision.number], ["humanize", 4]);
  requests.receive(4);
  assert.equal(requests.next(), true);
  assert.deepEqual([requests.now, requests.revision.number], ["tempo", 5]);
  requests.receive(5);
  assert.equal(requests.next(), false);
  assert.equal(requests.now, null);
});

test("what was confirmed is not sent to a new server", () => {
  const requests = new Requests();
  requests.add("humanize");
  requests.next();
  requests.receive(1);
  requests.receive(0);
  assert.equal(requests.next(), false);
  assert.equal(requests.now, null);
  requests.add("tempo");
  assert.equal(requests.next(), true);
  assert.equal(requests.revision.isUnconfirmed, true);
});
