local schedule = require "secateur.experiments.schedule"

local function task(id, size, needs, pair)
  return { id = id, size = size, needs = needs or {}, pair = pair or 1 }
end

local function text(given)
  local words = {}
  for i, each in ipairs(given) do words[i] = each.rank .. ":" .. each.task.id end
  return table.concat(words, " ")
end

-- Rows after scores after samples, of several models.
local function grid(pairs_count, groups, rows)
  local list = {}
  for pair = 1, pairs_count do
    local model = ("m%d"):format(pair)
    list[#list + 1] = task(model, math.huge, {}, pair)
    for group = 1, groups do
      local scores = ("s%d.%d"):format(pair, group)
      list[#list + 1] = task(scores, 50, { model }, pair)
      for row = 1, rows do list[#list + 1] = task(("r%d.%d.%d"):format(pair, group, row), row, { scores }, pair) end
    end
  end
  return list
end

describe("schedule", function()
  it("begins with what the longest chain of work waits for", function()
    local plan = schedule.new({ task("big", 10), task("key", 1), task("locked", 20, { "key" }), task("small", 2) },
      { size = 4, root = false, ahead = 0 })
    assert.equal("1:key 2:big 3:small", text(plan:hand_out()))
    assert.same({}, plan:hand_out())
    assert.equal(1, plan:done "key")
    assert.equal("1:locked", text(plan:hand_out()))
  end)

  it("takes equal ones in their order", function()
    local plan = schedule.new({ task("a", 1), task("b", 1), task("c", 1) }, { size = 3, root = false, ahead = 0 })
    assert.equal("1:a 2:b", text(plan:hand_out()))
  end)

  it("hands out nothing whose needs are missing, each once, and all of it", function()
    for seed = 1, 30 do
      local state = seed
      local function draw(n)
        state = (state * 1103515245 + 12345) % 2147483648
        return state // 65536 % n + 1
      end
      local list = {}
      for i = 1, 60 do
        local needs, seen = {}, {}
        for _ = 1, i > 3 and draw(4) - 1 or 0 do
          local need = "t" .. draw(i - 1)
          if not seen[need] then seen[need], needs[#needs + 1] = true, need end
        end
        list[i] = task("t" .. i, draw(100), needs, draw(4))
      end
      local plan = schedule.new(list, { size = 1 + draw(5), root = draw(2) == 1 })
      local done, running, handed = {}, {}, 0
      while plan.left > 0 do
        local given = plan:hand_out()
        local own = plan:take()
        if own then given[#given + 1] = own end
        for _, each in ipairs(given) do
          for _, need in ipairs(each.task.needs) do assert.is_true(done[need], each.task.id .. " before " .. need) end
          running[#running + 1], handed = each, handed + 1
        end
        local ended = table.remove(running, draw(#running))
        assert.equal(ended.rank, plan:done(ended.task.id))
        done[ended.task.id] = true
      end
      assert.equal(60, handed)
    end
  end)

  it("gives the shortest to rank 0, and only when nobody else can have it", function()
    local plan = schedule.new({ task("a", 3), task("b", 2), task("c", 1) }, { size = 3, ahead = 0 })
    assert.equal("1:a 2:b", text(plan:hand_out()))
    assert.equal("0:c", text { plan:take() })
    assert.is_nil(plan:take())
    assert.is_nil(schedule.new({ task("a", 1) }, { size = 2, root = false }):take())
    assert.equal("a", schedule.new({ task("a", 1) }, { size = 1, root = false }):take().task.id)
  end)

  it("gives tasks ahead only while there is enough for all", function()
    local list = {}
    for i = 1, 6 do list[i] = task("t" .. i, 1) end
    local plan = schedule.new(list, { size = 3, root = false })
    assert.equal("1:t1 2:t2 1:t3 2:t4", text(plan:hand_out()))
    plan:done "t1"
    assert.same({}, plan:hand_out()) -- two are left: each of the two gets one when it has nothing
    plan:done "t3"
    assert.equal("1:t5", text(plan:hand_out()))
    assert.equal(2, plan:load_of(2))
  end)

  it("gives no model to train ahead of another", function()
    local list = {}
    for i = 1, 9 do
      list[i] = task("m" .. i, 1e18, {}, i)
      list[i].kind = "model"
    end
    assert.equal("1:m1 2:m2", text(schedule.new(list, { size = 3 }):hand_out()))
  end)

  it("gives nothing ahead that others wait for, and nothing behind a model", function()
    local list = { task("key", 5), task("rest", 1, { "key" }) }
    for i = 1, 6 do list[#list + 1] = task("t" .. i, 9) end
    list[#list + 1] = task("lock", 4)
    list[#list + 1] = task("last", 1, { "lock" })
    local plan = schedule.new(list, { size = 2, root = false, ahead = 8 })
    assert.equal("1:t1 1:t2 1:t3 1:t4 1:t5 1:t6", text(plan:hand_out()))
    for i = 1, 5 do plan:done("t" .. i) end
    assert.same({}, plan:hand_out())
    plan:done "t6"
    assert.equal("1:key", text(plan:hand_out()))

    list = { task("m", 100) }
    list[1].kind = "model"
    for i = 1, 6 do list[#list + 1] = task("t" .. i, 1) end
    plan = schedule.new(list, { size = 3, root = false })
    assert.equal("1:m 2:t1 2:t2", text(plan:hand_out()))
    plan:done "m"
    assert.equal("1:t3 1:t4", text(plan:hand_out()))
  end)

  it("prefers a model that the rank holds, and else one that few do", function()
    local list = {}
    for pair = 1, 2 do
      for i = 1, 4 do list[#list + 1] = task(("p%d.%d"):format(pair, i), 10, {}, pair) end
    end
    local plan = schedule.new(list, { size = 3, root = false, ahead = 0 })
    local given = plan:hand_out()
    assert.equal("1:p1.1 2:p2.1", text(given))
    assert.is_true(given[1].is_new)
    plan:done "p2.1"
    given = plan:hand_out()
    assert.equal("2:p2.2", text(given))
    assert.is_false(given[1].is_new)
    -- but not before one that is more than twice as long
    plan = schedule.new({ task("a", 10, {}, 1), task("b", 10, {}, 1), task("c", 21, {}, 2), task("d", 22, {}, 1) },
      { size = 2, root = false, ahead = 0 })
    assert.equal("1:d", text(plan:hand_out()))
    plan:done "d"
    assert.equal("1:c", text(plan:hand_out()))
  end)

  it("says which models a rank has to let go of", function()
    local list = {}
    for i = 1, 3 do list[i] = task("t" .. i, 1, {}, i) end
    local plan, drops = schedule.new(list, { size = 2, root = false, ahead = 0, models = 2 }), {}
    for i = 1, 3 do
      local given = plan:hand_out()[1]
      drops[i] = given.drop
      plan:done(given.task.id)
    end
    assert.same({ {}, {}, { 1 } }, drops)
  end)

  it("fails what needs a failed task, once, and goes on with the rest", function()
    local plan = schedule.new({ task("a", 9), task("b", 1, { "a" }), task("c", 1, { "b", "a" }), task("d", 1) },
      { size = 2, root = false, ahead = 0 })
    plan:hand_out()
    local gone = plan:fail "a"
    assert.equal(3, #gone)
    assert.same({ "a", "b", "c" }, { gone[1].id, gone[2].id, gone[3].id })
    assert.equal(1, plan.left)
    assert.equal("1:d", text(plan:hand_out()))
    plan:done "d"
    assert.equal(0, plan.left)
    assert.equal(0, plan:left_of(1))
  end)

  it("keeps ranks busy on a grid: nobody waits while something can be done", function()
    local plan = schedule.new(grid(4, 5, 10), { size = 4 })
    local running = {}
    while plan.left > 0 do
      for _, each in ipairs(plan:hand_out()) do running[#running + 1] = each end
      local own = plan:load_of(0) == 0 and plan:take()
      if own then running[#running + 1] = own end
      for rank = 0, 3 do
        if plan:load_of(rank) == 0 then assert.equal(0, plan.ready) end
      end
      plan:done(table.remove(running, 1).task.id)
    end
  end)
end)
