-- Names that a terminal would obey, through everything that prints: what is shown has them as escapes, what is kept has
-- them as they are.
local core = require "secateur.core"
local errors = require "support.errors"
local files = require "secateur.util.files"
local sc = require "secateur"
local stderr = require "support.stderr"
local temporary = require "support.temporary"

local EVIL = "\27[31mE\27]0;t\7\u{202E}\u{9B}1m"
local SHOWN = "\\x1B[31mE\\x1B]0;t\\x07\\u{202E}\\u{9B}1m"

describe("names that a terminal would obey", function()
  local root, data, said, model

  -- Nothing but text and ends of lines, and the name in it, unless it is not expected there.
  local function check(text, absent)
    text = tostring(text)
    assert.is_truthy(utf8.len(text))
    assert.is_nil(text:find "[\0-\9\11-\31\127]", text)
    assert.is_nil(text:find("\u{202E}", 1, true))
    assert.is_nil(text:find("\u{9B}", 1, true))
    if not absent then assert.is_truthy(text:find(SHOWN, 1, true), text) end
  end

  setup(function()
    root = temporary.folder()
    for i = 1, 6 do
      for j, class in ipairs { "a" .. EVIL, "b" } do
        local image = core.zeros(3, 8, 8)
        image:fill((i + 6 * j) / 16)
        assert(files.mkdir_p(files.join(root, "d", class)))
        core.image_save(files.join(root, "d", class, i .. ".png"), image)
      end
    end
    temporary.write(root, files.join("d/b", EVIL .. ".png"), "broken")
    said = stderr.text(function() data = sc.data.folder(files.join(root, "d"), { size = 8 }) end)
    model = sc.model { input = { 3, 8, 8 }, build = function(net, x)
      return net:linear("out", net:relu("r", net:linear("h" .. EVIL, net:flatten("f", x), { out = 4 })), { out = 2 })
    end }
  end)

  teardown(function() files.remove(root) end)

  it("of classes and files are shown by data sets and their warnings", function()
    check(said)
    check(data)
    check(data.train)
    assert.equal("a" .. EVIL, data.classes[1])
    assert.equal(files.join(root, "d/b", EVIL .. ".png"), data.skipped[1].path)
  end)

  it("of layers and classes are shown by all results", function()
    check(sc.train(model, data, { epochs = 1, quiet = true }), true) -- a new model's scores would all be 0
    check(model, true)
    check(model:summary())
    check(sc.evaluate(model, data.test))
    check(sc.predict(model, data.test))
    local scores = sc.importance(model, data.train, { method = "lrp", per_class = 1, seed = 0 })
    check(scores)
    check(sc.attribute(model, (data.test:batch { 1 }), { method = "gradient", layers = "all" }))
  end)

  it("are shown by messages about files of weights", function()
    local path = files.join(root, "m.safetensors")
    model:save(path)
    local other = sc.model { input = { 3, 8, 8 }, build = function(net, x)
      return net:linear("out", net:flatten("f", x), { out = 2 })
    end }
    check(errors.raised(function() other:load_state(path) end))
    local header = '{"' .. EVIL:gsub("\27", "\\u001b"):gsub("\7", "\\u0007") .. '":{"dtype":"F32","shape":[1],'
      .. '"data_offsets":[0,4]}}'
    local bad = temporary.write(root, "x.safetensors", string.pack("<s8", header))
    for _, load in ipairs { sc.safetensors.load, sc.load, sc.load_weights, sc.load_checkpoint } do
      check(errors.raised(load, bad))
    end
  end)

  it("are shown by messages about tables", function()
    temporary.write(root, "t/split.csv", ("file,label,split\n1.png,%s,tr%s\n"):format(EVIL, EVIL))
    check(errors.raised(sc.data.folder, files.join(root, "t"), { size = 8 }))
    check(errors.raised(sc.data.folder, EVIL, { size = 8 }))
    check(errors.raised(sc.data.folder, root, { [EVIL] = 8 }))
  end)
end)
