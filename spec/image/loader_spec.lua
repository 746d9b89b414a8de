-- The loader: the same batches whatever the threads do, failures named, and an end at any time.
local core = require "secateur.core"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

local IMAGES = "spec/fixtures/images/"
local AUGMENT = { scale = { 0.5, 1 }, ratio = { 0.75, 1.33 }, hflip = 0.5, vflip = 0.5, rotation = 30, brightness = 0.2,
  contrast = 0.2, saturation = 0.2 }

local function settled()
  collectgarbage()
  collectgarbage()
  return (core.memory())
end

local function phantoms(count, size)
  local labels = {}
  for i = 1, count do labels[i] = i % 4 + 1 end
  return core.image_source { kind = "phantom", labels = labels, size = size or 32, seed = 1 }
end

local function all(loader)
  local batches = {}
  while true do
    local x, positions, failures = loader:next()
    if not x then break end
    batches[#batches + 1] = { x = x:totable(), positions = positions, failures = failures }
  end
  assert.is_nil(loader:next())
  return batches
end

describe("the loader", function()
  local function options(extra)
    local found = { indices = {}, batch = 7, size = 16, channels = 3, augment = AUGMENT, seed = 9, epoch = 2,
      mean = { 0.5, 0.4, 0.3 }, std = { 0.2, 0.3, 0.4 } }
    for i = 1, 30 do found.indices[i] = (i * 7) % 30 + 1 end
    for key, value in pairs(extra or {}) do found[key] = value end
    return found
  end

  it("gives the same whatever the number of workers and prefetched batches", function()
    local expected = all(core.image_loader(phantoms(30), options { workers = 1, prefetch = 1 }))
    assert.equal(5, #expected)
    assert.equal(2, #expected[5].positions)
    for _, case in ipairs { { 1, 4 }, { 2, 1 }, { 3, 2 }, { 8, 10 } } do
      local loader <close> = core.image_loader(phantoms(30), options { workers = case[1], prefetch = case[2] })
      assert.same(expected, all(loader))
    end
  end)

  it("gives what batch gives, in the order asked for", function()
    local source, given = phantoms(30), options()
    local loader <close> = core.image_loader(source, given)
    local seen = 0
    while true do
      local x, positions = loader:next()
      if not x then break end
      local wanted = {}
      for i, position in ipairs(positions) do
        assert.equal(seen + i, position)
        wanted[i] = given.indices[position]
      end
      local same = source:batch(wanted, { size = 16, channels = 3, augment = AUGMENT, seed = 9, epoch = 2,
        mean = given.mean, std = given.std })
      assert.same(same:totable(), x:totable())
      seen = seen + #positions
    end
    assert.equal(30, seen)
  end)

  it("names failures at their place and goes on", function()
    local root <close> = setmetatable({ path = temporary.folder() }, { __close = function(r) files.remove(r.path) end })
    local bad = temporary.write(root.path, "bad.jpg", assert(files.read_all(IMAGES .. "grey.jpg")):sub(1, 200))
    local source = core.image_source { kind = "files", paths = { IMAGES .. "grey8.png", bad, IMAGES .. "colour.bmp" } }
    local loader <close> = core.image_loader(source, { indices = { 3, 2, 1, 2, 2, 1 }, batch = 3, size = 8 })
    local failure = { index = 2, message = "'" .. bad .. "': a damaged JPEG file: truncated" }
    local x, positions, failures = loader:next()
    assert.same({ 2, 3, 8, 8 }, x:shape())
    assert.same({ 1, 3 }, positions)
    assert.same({ failure }, failures)
    x, positions, failures = loader:next()
    assert.same({ 1, 3, 8, 8 }, x:shape())
    assert.same({ 6 }, positions)
    assert.same({ failure, failure }, failures)
    assert.is_nil(loader:next())
  end)

  it("gives a batch without rows when nothing in it could be read", function()
    local root <close> = setmetatable({ path = temporary.folder() }, { __close = function(r) files.remove(r.path) end })
    local bad = temporary.write(root.path, "a.png", "no picture")
    local source = core.image_source { kind = "files", paths = { bad, IMAGES .. "grey8.png" } }
    local loader <close> = core.image_loader(source, { indices = { 1, 1, 2 }, batch = 2, size = 4, channels = 1 })
    local x, positions, failures = loader:next()
    assert.same({ 0, 1, 4, 4 }, x:shape())
    assert.same({}, positions)
    assert.equal(2, #failures)
    assert.same({ 1, 1, 4, 4 }, loader:next():shape())
  end)

  it("has nothing to give for no indices", function()
    local loader <close> = core.image_loader(phantoms(3), { indices = {}, size = 8 })
    assert.is_nil(loader:next())
  end)

  it("stops in the middle, and gives all memory back", function()
    local before = settled()
    for round = 1, 4 do
      local indices = {}
      for i = 1, 1000 do indices[i] = i end
      local loader = core.image_loader(phantoms(1000, 64), { indices = indices, batch = 16, size = 16,
        augment = AUGMENT, workers = 4, prefetch = 64 })
      for _ = 1, round % 3 do loader:next() end
      if round % 2 == 0 then
        loader:close()
        loader:close()
        assert.has_error(function() loader:next() end, "next: loader: expected an open ImageLoader, got a closed one")
      end
    end
    assert.equal(before, settled())
  end)

  it("makes no more than the pictures in hand when it is closed", function()
    local COUNT, BYTES = 50000, 64 * 64 -- half a minute's work
    local source <close> = phantoms(COUNT, 64)
    local indices = {}
    for i = 1, COUNT do indices[i] = i end
    local before = settled()
    local loader = core.image_loader(source, { indices = indices, batch = 100, size = 4, channels = 1, workers = 4,
      prefetch = 1000 })
    loader:next()
    loader:close()
    loader = nil -- luacheck: ignore
    local made = (settled() - before) // BYTES -- what was made is kept by the source
    assert.is_true(made >= 100, made .. " pictures")
    assert.is_true(made < COUNT // 2, made .. " pictures")
  end)

  it("keeps its source alive", function()
    local source = phantoms(20)
    local loader <close> = core.image_loader(source, { indices = { 1, 2, 3, 4 }, batch = 1, size = 16, prefetch = 1 })
    source:close()
    source = nil -- luacheck: ignore
    collectgarbage()
    for _ = 1, 4 do assert.same({ 1, 3, 16, 16 }, loader:next():shape()) end
    assert.is_nil(loader:next())
  end)

  it("checks its arguments", function()
    local function fails(extra, message)
      assert.has_error(function() core.image_loader(phantoms(30), options(extra)) end, "image_loader: " .. message)
    end
    assert.has_error(function() core.image_loader({}, options()) end,
      "image_loader: source: expected an ImageSource, got a table")
    fails({ indices = { 31 } }, "indices: expected a whole number in 1..30, got 31")
    fails({ batch = 0 }, "batch: expected a whole number in 1..1048576, got 0")
    fails({ workers = 0 }, "workers: expected a whole number in 1..256, got 0")
    fails({ shuffle = true }, "unknown option 'shuffle', expected one of: indices, batch, size, channels, resize, "
      .. "interpolation, range, mean, std, augment, seed, epoch, workers, prefetch, repeats, sizes")
    fails({ indices = { 1, 2, 3 }, repeats = { 0, 0 } }, "repeats: expected one per index, 3, got 2")
    for _, sizes in ipairs { { 1, 0, 2 }, { 2, 2 }, { 4 } } do
      fails({ indices = { 1, 2, 3 }, sizes = sizes },
        "sizes: expected numbers of at least 1 that sum to that of the indices")
    end
    fails({ indices = { 1, 2, 3 }, sizes = { 1, 1 } },
      "sizes: expected as many as there are indices together, 3, got 2")
  end)
end)
