local dispatch = require "secateur.experiments.dispatch"
local errors = require "secateur.util.errors"
local fake_group = require "support.fake_group"
local task_failure = require "secateur.experiments.task_failure"
local task_inputs = require "secateur.experiments.task_inputs"
local task_messages = require "secateur.experiments.task_messages"
local worker = require "secateur.experiments.worker"

-- Work whose results can be worked out by hand: a row is its inputs, those of its scores, and so on, with its name.
local function grid(models, groups, rows)
  local list = {}
  local function add(id, kind, pair, size, needs)
    list[#list + 1] = { id = id, kind = kind, pair = pair, size = size, needs = needs, label = id }
  end
  for pair = 1, models do
    local model = "model" .. pair
    add(model, "model", pair, math.huge, {})
    add("dense" .. pair, "dense", pair, 20, { model })
    for group = 1, groups do
      local scores = ("scores%d.%d"):format(pair, group)
      add(scores, "scores", pair, 30, { model })
      for row = 1, rows do
        add(("row%d.%d.%d"):format(pair, group, row), "row", pair, row, { scores, "dense" .. pair })
      end
    end
  end
  return list
end

-- One rank's side of it: models that it made or was sent, and what it ran.
local function rank_handlers(group, log, trouble)
  local models = {}
  local self = { models = models }
  function self.run(task, inputs)
    table.insert(log, ("%d %s"):format(group.rank, task.id))
    if group.rank > 0 then group:pause() end
    if trouble and trouble[task.id] then
      local problem = trouble[task.id]
      if type(problem) == "function" then problem(group) else error(problem, 0) end
    end
    if task.kind == "model" then
      models[task.pair] = "weights\0of " .. task.pair
      return { name = task.id }
    end
    assert(models[task.pair] == "weights\0of " .. task.pair, "no model for " .. task.id)
    local parts = {}
    for i, id in ipairs(task.needs) do parts[i] = inputs[id].name end
    return { name = task.id .. "(" .. table.concat(parts, ",") .. ")", third = 1 / 3, none = {} }
  end
  function self.export_model(pair)
    table.insert(log, ("%d exports %d"):format(group.rank, pair))
    return models[pair]
  end
  function self.import_model(pair, bytes)
    table.insert(log, ("%d imports %d"):format(group.rank, pair))
    models[pair] = bytes
  end
  function self.drop_model(pair)
    table.insert(log, ("%d drops %d"):format(group.rank, pair))
    models[pair] = nil
  end
  return self
end

-- The owner's: what is kept, by id.
local function owner_handlers(group, list, log, kept, trouble)
  local self, failed, reads = rank_handlers(group, log, trouble), {}, {}
  function self.input_keys(task)
    local keys = {}
    for i, id in ipairs(task.needs) do keys[i] = { name = id, kind = id:match "^%l+", key = id } end
    return keys
  end
  function self.get(_, id)
    reads[id] = (reads[id] or 0) + 1
    return assert(kept[id], "needed before it was there: " .. id)
  end
  function self.keep(task, result)
    assert(not kept[task.id], "kept twice")
    kept[task.id] = result
  end
  function self.fail(task, message) failed[task.id] = message end
  function self.show(text) self.shown = text end
  self.failed, self.list, self.reads = failed, list, reads
  return self
end

local function sweep(size, seed, list, opts, trouble)
  local log, kept, out = {}, {}, {}
  local outcome = fake_group.run(size, seed, function(group)
    if group.rank > 0 then return worker.run(group, rank_handlers(group, log, trouble)) end
    local handlers = owner_handlers(group, list, log, kept, trouble)
    out.failed, out.handlers = handlers.failed, handlers
    return dispatch.run(group, list, handlers, opts)
  end)
  out.log, out.kept, out.outcome = log, kept, outcome
  return out
end

local function check_outcome(outcome)
  for rank, each in ipairs(outcome) do assert.is_true(each[1], ("rank %d: %s"):format(rank - 1, tostring(each[2]))) end
end

local function count(log, pattern)
  local found = 0
  for _, line in ipairs(log) do found = found + (line:find(pattern) and 1 or 0) end
  return found
end

describe("dispatch", function()
  it("gives what one process alone gives, in any order of events and with any number of ranks", function()
    local alone = sweep(1, 1, grid(3, 2, 4))
    check_outcome(alone.outcome)
    assert.equal("row2.1.3(scores2.1(model2),dense2(model2))", alone.kept["row2.1.3"].name)
    for size = 2, 6 do
      for seed = 1, 12 do
        local many = sweep(size, seed, grid(3, 2, 4), { root = seed % 3 > 0, ahead = seed % 3, models = 1 + seed % 2 })
        check_outcome(many.outcome)
        assert.same(alone.kept, many.kept)
        assert.same({}, many.failed)
      end
    end
  end)

  it("has every task done once, every model made once, and rank 0 idle when told so", function()
    local many = sweep(4, 3, grid(3, 2, 4), { root = false })
    check_outcome(many.outcome)
    assert.equal(3 * (1 + 1 + 2 + 8), count(many.log, "^%d [mdsr]%l+%d") )
    assert.equal(3, count(many.log, "^%d model%d"))
    assert.equal(0, count(many.log, "^0 "))
    local done = 0
    for rank = 2, 4 do done = done + many.outcome[rank][2] end
    assert.equal(#grid(3, 2, 4), done)
    local statistics = many.outcome[1][2]
    assert.equal(0, statistics.ranks[1].tasks)
    assert.equal(done, statistics.ranks[2].tasks + statistics.ranks[3].tasks + statistics.ranks[4].tasks)
  end)

  it("sends a model at most once to a rank that keeps it", function()
    local many = sweep(4, 5, grid(2, 3, 5), { models = 2 })
    check_outcome(many.outcome)
    for rank = 0, 3 do
      for pair = 1, 2 do
        assert.is_true(count(many.log, ("^%d imports %d"):format(rank, pair)) <= 1)
      end
      assert.equal(0, count(many.log, ("^%d drops"):format(rank)))
    end
  end)

  it("keeps no more models on a rank than it may", function()
    for seed = 1, 10 do
      local log, kept, list = {}, {}, grid(4, 2, 3)
      local outcome = fake_group.run(3, seed, function(group)
        local handlers = group.rank == 0 and owner_handlers(group, list, log, kept) or rank_handlers(group, log)
        local run = handlers.run
        function handlers.run(task, inputs)
          local result, held = run(task, inputs), 0
          for _ in pairs(handlers.models) do held = held + 1 end
          assert(held <= 1, "too many models")
          return result
        end
        if group.rank > 0 then return worker.run(group, handlers) end
        return dispatch.run(group, list, handlers, { models = 1 })
      end)
      check_outcome(outcome)
    end
  end)

  it("serves others while rank 0 computes", function()
    local list, log, kept, last = {}, {}, {}, nil
    for i = 1, 40 do list[i] = { id = "t" .. i, kind = "row", size = i, needs = {}, label = "x" } end
    local outcome = fake_group.run(2, 1, function(group)
      local handlers = group.rank == 0 and owner_handlers(group, list, log, kept) or rank_handlers(group, log)
      function handlers.run(task)
        table.insert(log, ("%d %s"):format(group.rank, task.id))
        if group.rank > 0 then return group:pause() end
        if last then return end
        last = true
        -- Rank 0's only long task: it ends when the others have done everything else, which they can only do if they
        -- are served meanwhile.
        local function others()
          local number = 0
          for _ in pairs(kept) do number = number + 1 end
          return number
        end
        for _ = 1, 1e5 do
          if others() == 39 then return end
          coroutine.yield "busy"
        end
        error "the others were not served"
      end
      function handlers.keep(each) kept[each.id] = true end
      if group.rank > 0 then return worker.run(group, handlers) end
      return dispatch.run(group, list, handlers)
    end)
    check_outcome(outcome)
    assert.equal(1, outcome[1][2].ranks[1].tasks)
    assert.is_nil(debug.gethook())
  end)

  it("takes a failure for the task's, fails what needs it, and goes on", function()
    for seed = 1, 10 do
      local many = sweep(3, seed, grid(2, 2, 3), nil, { ["scores1.2"] = "no memory of that layer" })
      check_outcome(many.outcome)
      assert.equal("no memory of that layer", many.failed["scores1.2"])
      assert.equal("no memory of that layer", many.failed["row1.2.3"])
      assert.is_nil(many.kept["row1.2.3"])
      assert.is_nil(many.failed["row1.1.3"])
      assert.truthy(many.kept["row2.2.3"])
      local failures = 0
      for _ in pairs(many.failed) do failures = failures + 1 end
      assert.equal(4, failures)
    end
  end)

  it("ends at the first failure where that is asked for, on all ranks, with what was computed kept", function()
    for seed = 1, 10 do
      local many = sweep(3, seed, grid(2, 2, 3), { stop_at_failure = true }, { ["scores1.2"] = "broken" })
      for rank = 1, 3 do
        assert.is_false(many.outcome[rank][1])
        assert.matches("scores1%.2: broken$", tostring(many.outcome[rank][2]))
      end
      for _, line in ipairs(many.log) do
        local id = line:match "^%d ([mdsr]%l+%d.*)$"
        assert.is_true(not id or many.kept[id] ~= nil or many.failed[id] ~= nil, id)
      end
    end
  end)

  it("passes on what ends everything: Ctrl-C, memory", function()
    for _, problem in ipairs { "script.lua:3: interrupted!", "not enough memory",
      "script.lua:7: train: interrupted; 3 epochs are kept in 'c.safetensors'" } do
      assert.is_true(task_failure.ends_all(problem))
    end
    for _, problem in ipairs { "script.lua:3: no layer 'x'", 7, {} } do
      assert.is_false(task_failure.ends_all(problem))
    end
    local problem = "script.lua:3: interrupted!"
    local ended = pcall(fake_group.run, 2, 1, function(group)
      local trouble = { t1 = function() error(problem, 0) end }
      local list, log = { { id = "t1", kind = "row", size = 1, needs = {}, label = "x" } }, {}
      if group.rank > 0 then return end
      local good, raised = pcall(dispatch.run, setmetatable({ size = 1 }, { __index = group }), list,
        owner_handlers(group, list, log, {}, trouble))
      assert.is_false(good)
      assert.equal(problem, raised)
      assert.is_nil(debug.gethook())
    end)
    assert.is_true(ended)
    local group = { receive_from = function()
      return task_messages.pack({ type = "task", task = { id = "t1", kind = "row" }, drop = {} }, "[]")
    end, send = function() error "nothing is to be sent" end }
    local good, raised = pcall(worker.run, group, { run = function() error(problem, 0) end })
    assert.is_false(good)
    assert.equal(problem, raised)
  end)

  it("passes on what goes wrong in serving, though a task swallows it", function()
    local list = { { id = "a", kind = "row", size = 1, needs = {}, label = "a" },
      { id = "b", kind = "row", size = 9, needs = {}, label = "b" } }
    local outcome = fake_group.run(2, 1, function(group)
      local handlers = group.rank == 0 and owner_handlers(group, list, {}, {}) or rank_handlers(group, {})
      function handlers.run(task)
        if group.rank == 0 then
          for _ = 1, 1000 do
            if not pcall(function() for _ = 1, 1e5 do assert(task) end end) then break end
            coroutine.yield "busy"
          end
        end
        return {}
      end
      function handlers.keep(task) if task.id == "b" then error "the disk is full" end end
      if group.rank == 0 then return dispatch.run(group, list, handlers) end
      handlers.export_model = nil
      local text = group:receive_from(0)
      local head = task_messages.unpack(text)
      group:send(0, task_messages.pack({ type = "done", id = head.task.id, seconds = 0 }, "[]"))
    end)
    assert.is_false(outcome[1][1])
    assert.matches("the disk is full", tostring(outcome[1][2]))
  end)

  it("sends what tasks have in common once to a rank, as long as it is the last", function()
    local many = sweep(2, 1, grid(1, 2, 6), { root = false })
    check_outcome(many.outcome)
    assert.equal(1, many.handlers.reads["dense1"]) -- of twelve rows that need it
    local sent, kept = {}, {}
    local function get(_, key) return key ~= "none" and { of = key } or nil end
    local function pass(list) return task_inputs.unpack(task_inputs.pack(list, get, sent), kept) end
    local first = pass { { name = "a", kind = "x", key = "1" }, { name = "b", kind = "y", key = "none" } }
    assert.same({ a = { of = "1" } }, first)
    local second = pass { { name = "a", kind = "x", key = "1" }, { name = "b", kind = "y", key = "2" } }
    assert.same({ a = { of = "1" }, b = { of = "2" } }, second)
    assert.equal(first.a, second.a) -- the same table: what was made of it is known again
    assert.same({ a = { of = "3" } }, pass { { name = "a", kind = "x", key = "3" } })
    assert.same({ a = { of = "1" } }, pass { { name = "a", kind = "x", key = "1" } })
  end)

  it("says what each rank does, and of many how many do what", function()
    local function shown(size)
      local seen, list = {}, grid(1, 2, 6)
      local outcome = fake_group.run(size, 4, function(group)
        if group.rank > 0 then return worker.run(group, rank_handlers(group, {})) end
        local handlers = owner_handlers(group, list, {}, {})
        function handlers.show(text) seen[text] = true end
        return dispatch.run(group, list, handlers, { root = false })
      end)
      check_outcome(outcome)
      return seen
    end
    assert.is_true(shown(3)["1: model1, model; 1 idle"])
    assert.is_true(shown(10)["1 model; 8 idle"])
  end)

  it("knows its own messages", function()
    local head, one, two = task_messages.unpack(task_messages.pack({ type = "x" }, "", "\0\n\255"))
    assert.same({ type = "x" }, head)
    assert.equal("", one)
    assert.equal("\0\n\255", two)
    for _, text in ipairs { "", "hello", "secateur sweep 1\nno end" } do
      assert.has_error(function() errors.within("x", task_messages.unpack, text) end)
    end
  end)
end)
