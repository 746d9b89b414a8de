-- Convolutions that go through Winograd's transform, against the same ones written as 5 x 5 with a rim of zeros, which
-- do not.
local child = require "support.child"
local needs = require "support.needs"

local cores = { float = require "secateur.core", double = require "secateur.core_double" }

-- x -> y, and seeds -> gradients of x and of weights, for weights [o x c x 3 x 3] inside a kernel of 3 or 5.
local function run(core, case, kernel)
  local rim = (kernel - 3) // 2
  local graph = core.graph()
  graph:add("input", "x", {}, { shape = { case.c, case.h, case.w } })
  graph:add("conv2d", "n", { "x" }, { out = case.o, kernel = kernel, bias = case.bias,
    padding = { case.padding[1] + rim, case.padding[2] + rim } })
  local weight = core.randn(case.o, case.c, 3, 3, { seed = 1 })
  if kernel == 5 then
    local flat, wide = weight:reshape(case.o * case.c, 9):totable(), {}
    for i, row in ipairs(flat) do
      wide[i] = { 0, 0, 0, 0, 0, 0, row[1], row[2], row[3], 0, 0, row[4], row[5], row[6], 0, 0, row[7], row[8], row[9],
        0, 0, 0, 0, 0, 0 }
    end
    weight = core.tensor(wide):reshape(case.o, case.c, 5, 5)
  end
  graph:set_parameter("n.weight", weight)
  if case.bias then graph:set_parameter("n.bias", core.randn(case.o, { seed = 2 })) end
  local plan = core.plan(graph, { batch = case.batch, backward = true, params = true, keep_grads = { "x" } })
  local y = plan:forward(core.randn(case.batch, case.c, case.h, case.w, { seed = 3 }))
  local seeds = core.randn(y:numel(), { seed = 4 })
  plan:backward(seeds:reshape(table.unpack(y:shape())))
  local dw = plan:param_grad "n.weight"
  if kernel == 5 then
    local wide, flat = dw:reshape(case.o * case.c, 25):totable(), {}
    for i, row in ipairs(wide) do
      flat[i] = { row[7], row[8], row[9], row[12], row[13], row[14], row[17], row[18], row[19] }
    end
    dw = core.tensor(flat):reshape(case.o, case.c, 3, 3)
  end
  return y, plan:grad "x", dw
end

local function distance(a, b) return (a - b):abs():max() / b:abs():max() end

local cases = {
  { c = 24, o = 24, h = 28, w = 28, batch = 1, padding = { 1, 1 }, bias = true },
  { c = 25, o = 67, h = 13, w = 29, batch = 3, padding = { 1, 1 }, bias = false },
  { c = 64, o = 130, h = 9, w = 10, batch = 8, padding = { 0, 2 }, bias = true },
  { c = 70, o = 26, h = 31, w = 6, batch = 5, padding = { 2, 0 }, bias = true },
  { c = 24, o = 24, h = 9, w = 1100, batch = 1, padding = { 1, 1 }, bias = true }, -- rows longer than a block of tiles
  { c = 96, o = 96, h = 14, w = 14, batch = 40, padding = { 1, 1 }, bias = true }, -- blocks across images
  { c = 270, o = 110, h = 7, w = 7, batch = 3, padding = { 1, 1 }, bias = true }, -- more than one chain of sums
  { c = 32, o = 32, h = 40, w = 3, batch = 9, padding = { 2, 2 }, bias = false }, -- rows of one and two tiles
}

-- Prints a checksum of the values and the gradients of convolutions.
local BITS = [[
  local core = require "secateur.core"
  local hash = 0
  local function add(tensor)
    for _, row in ipairs(tensor:reshape(tensor:shape()[1], tensor:numel() // tensor:shape()[1]):totable()) do
      for _, x in ipairs(row) do hash = (hash ~ string.unpack("<i8", string.pack("<d", x))) * 1099511628211 end
    end
  end
  for _, size in ipairs { { 26, 30, 17, 13, 3 }, { 260, 25, 7, 7, 2 } } do
    local c, o, h, w, batch = table.unpack(size)
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { c, h, w } })
    graph:add("conv2d", "n", { "x" }, { out = o, kernel = 3, padding = 1, bias = true })
    graph:add("relu", "r", { "n" })
    graph:set_parameter("n.weight", core.randn(o, c, 3, 3, { seed = 1 }))
    graph:set_parameter("n.bias", core.randn(o, { seed = 2 }))
    local plan = core.plan(graph, { batch = batch, backward = true, keep_grads = { "x" } })
    add(plan:forward(core.randn(batch, c, h, w, { seed = 3 })))
    plan:backward(core.randn(batch, o, h, w, { seed = 4 }))
    add(plan:grad "x")
  end
  io.write(("%x"):format(hash))
]]

describe("winograd", function()
  for build, tolerance in pairs { float = 5e-6, double = 1e-14 } do
    for i, case in ipairs(cases) do
      it(("agrees with plain convolution, case %d, %s"):format(i, build), function()
        local y, dx, dw = run(cores[build], case, 3)
        local plain_y, plain_dx, plain_dw = run(cores[build], case, 5)
        assert.is_true(distance(y, plain_y) < tolerance, "y: " .. distance(y, plain_y))
        assert.is_true(distance(dx, plain_dx) < tolerance, "dx: " .. distance(dx, plain_dx))
        assert.is_true(distance(dw, plain_dw) < tolerance, "dw: " .. distance(dw, plain_dw))
      end)
    end
  end

  it("gives equal outputs where inputs are equal, to the bit, so that tied maxima stay tied", function()
    local core, size = cores.float, 37
    local graph = core.graph()
    graph:add("input", "x", {}, { shape = { 32, size, size } })
    graph:add("conv2d", "n", { "x" }, { out = 48, kernel = 3, padding = 1, bias = true })
    graph:set_parameter("n.weight", core.randn(48, 32, 3, 3, { seed = 1 }))
    graph:set_parameter("n.bias", core.randn(48, { seed = 2 }))
    local x = core.randn(2, 32, 1, 1, { seed = 3 }) + core.zeros(2, 32, size, size)
    local y = core.plan(graph, { batch = 2 }):forward(x)
    local rows, unequal = y:reshape(2 * 48, size * size):totable(), 0
    for _, row in ipairs(rows) do
      for i = 1, size - 2 do -- but for the rim, which sees zeros
        for j = 2, size - 1 do unequal = unequal + (row[i * size + j] ~= row[size + 2] and 1 or 0) end
      end
    end
    assert.equal(0, unequal)
  end)

  it("differs from plain convolution in the last bits, so that the comparison above compares something", function()
    local y = run(cores.float, cases[1], 3)
    assert.is_true(distance(y, (run(cores.float, cases[1], 5))) > 0)
  end)

  local threads_before = cores.float.threads()
  after_each(function() cores.float.threads(threads_before) end)

  it("has the same bits for a sample alone and in a batch, with any number of threads", function()
    local core = cores.float
    for _, size in ipairs { { 33, 50, 30, 23 }, { 300, 100, 7, 9 } } do
      local c, o, h, w = table.unpack(size)
      local graph = core.graph()
      graph:add("input", "x", {}, { shape = { c, h, w } })
      graph:add("conv2d", "n", { "x" }, { out = o, kernel = 3, padding = 1, bias = true })
      graph:set_parameter("n.weight", core.randn(o, c, 3, 3, { seed = 1 }))
      graph:set_parameter("n.bias", core.randn(o, { seed = 2 }))
      local x, seeds = core.randn(16, c, h, w, { seed = 3 }), core.randn(16, o, h, w, { seed = 4 })
      local function both(first, last)
        local plan <close> = core.plan(graph, { batch = last - first + 1, backward = true, keep_grads = { "x" } })
        local y = plan:forward(x:view(first, last)):clone()
        plan:backward(seeds:view(first, last))
        return y, plan:grad("x"):clone()
      end
      core.threads(1)
      local y, dx = both(1, 16)
      for _, threads in ipairs { 1, 2, 3, 8 } do
        core.threads(threads)
        for _, range in ipairs { { 1, 1 }, { 16, 16 }, { 7, 11 }, { 1, 16 } } do
          local first, last = table.unpack(range)
          local what = ("%d threads, samples %d to %d"):format(threads, first, last)
          local some_y, some_dx = both(first, last)
          assert.is_true(some_y:allclose(y:view(first, last), 0, 0), "y: " .. what)
          assert.is_true(some_dx:allclose(dx:view(first, last), 0, 0), "dx: " .. what)
        end
      end
    end
  end)

  for _, level in ipairs(needs.levels) do
    it(("has the same bits at level %s"):format(level), function()
      needs.level(pending, level)
      local expected = child.run(BITS, "SECATEUR_CPU=portable %s")
      assert.matches("^%x+$", expected)
      assert.equal(expected, child.run(BITS, ("SECATEUR_CPU=%s %%s"):format(level)))
    end)
  end

  it("has memory for every smaller batch, which takes no more", function()
    local graph = cores.float.graph()
    graph:add("input", "x", {}, { shape = { 32, 32, 32 } })
    graph:add("conv2d", "n", { "x" }, { out = 32, kernel = 3, padding = 1 })
    local largest = 0
    for batch = 1, 40 do
      local plan <close> = cores.float.plan(graph, { batch = batch, backward = true })
      local _, scratch = plan:memory()
      assert.is_true(scratch >= largest, ("batch %d: %d bytes, fewer than a smaller one"):format(batch, scratch))
      largest = scratch
    end
  end)
end)
