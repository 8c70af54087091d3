import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { KitChoice } from "./kits.js";

let choice;
let sent;

beforeEach(() => {
  sent = [];
  choice = new KitChoice();
  choice.send = (event, value) => sent.push(value);
});

const known = (kit, ...voices) => ({ kit, voice_kits: voices });

test("a choice that was lost among others is told again, and shown meanwhile", () => {
  choice.choose(["Jazz", null]);
  choice.choose(["Room", null]);
  assert.equal(choice.hear(known("Jazz")), "Room");
  assert.equal(choice.hear(known("Room")), "Room");
  assert.deepEqual(sent, [["Jazz", null], ["Room", null], ["Room", null]]);
});

test("choices for several voices are told one at a time, until each is known", () => {
  choice.choose(["Jazz", 0]);
  choice.choose([null, 2]);
  sent = [];
  choice.hear(known("Standard", [2, "Room"]));
  choice.hear(known("Standard", [0, "Jazz"], [2, "Room"]));
  choice.hear(known("Standard", [0, "Jazz"]));
  assert.deepEqual(sent, [["Jazz", 0], [null, 2]]);
});

test("a kit that Python does not accept is not told for ever", () => {
  choice.choose(["None such", null]);
  for (let run = 0; run < 9; run += 1) choice.hear(known("Standard"));
  assert.equal(choice.hear(known("Standard")), "Standard");
  assert.equal(sent.length, 4);
});
