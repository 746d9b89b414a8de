local checkpoints = require "support.checkpoints"
local pickle = require "secateur.formats.pickle"
local pickle_globals = require "secateur.formats.pickle_globals"
local errors = require "support.errors"

local p = checkpoints.p

-- What the machine makes of bytes.
local function load(bytes, change)
  local known = { globals = pickle_globals, budget = 1 << 20,
    refuse = function(name) error("refused " .. name, 0) end,
    persistent = function(id) return { kind = "storage", id = id } end }
  for key, value in pairs(change or {}) do known[key] = value end
  return pickle.load({ fetch = function(offset, count) return bytes:sub(offset + 1, offset + count) end, offset = 0,
    size = #bytes }, known)
end

local function complaint(bytes, change)
  local ok, message = pcall(load, bytes, change)
  assert.is_false(ok)
  assert.equal("string", type(message))
  return (errors.bare(message):gsub("^pickle: ", ""))
end

-- Containers as plain Lua values: lists and tuples as { kind, items… }, dictionaries as tables.
local function plain(value)
  if type(value) ~= "table" or value == pickle.none then return value end
  if value.kind == "dict" then
    local map = {}
    for i = 1, value.n do map[plain(value.keys[i])] = plain(value.values[i]) end
    return map
  end
  local items = { value.kind, value.name or value.bytes or value.text }
  for i = 1, value.n or 0 do items[#items + 1] = plain(value[i]) end
  return items
end

describe("the pickle machine", function()
  it("reads what Python writes in every protocol", function()
    -- [None, True, -5, 70000, 2**40, -2**70, 1.5, "é", b"\0\xff", (1,), (1, 2, 3, 4), {"a": [1, 2]}, {3}, 300,
    --  frozenset([7])]
    local written = {
      [0] = "286c70300a4e614930310a61492d350a614937303030300a614c313039393531313632373737364c0a614c2d3131383035393136"
        .. "32303731373431313330333432344c0a6146312e350a6156e90a70310a61635f636f646563730a656e636f64650a70320a28565c"
        .. "7530303030ff0a70330a566c6174696e310a70340a7470350a5270360a612849310a7470370a612849310a49320a49330a49340a"
        .. "7470380a61286470390a56610a7031300a286c7031310a49310a6149320a617361635f5f6275696c74696e5f5f0a7365740a7031"
        .. "320a28286c7031330a49330a61747031340a527031350a61493330300a61635f5f6275696c74696e5f5f0a66726f7a656e736574"
        .. "0a7031360a28286c7031370a49370a61747031380a527031390a612e",
      [1] = "5d7100284e4930310a4afbffffff4a701101004c313039393531313632373737364c0a4c2d313138303539313632303731373431"
        .. "313330333432344c0a473ff80000000000005802000000c3a97101635f636f646563730a656e636f64650a710228580300000000"
        .. "c3bf710358060000006c6174696e317104747105527106284b01747107284b014b024b034b047471087d7109580100000061710a"
        .. "5d710b284b014b026573635f5f6275696c74696e5f5f0a7365740a710c285d710d4b036174710e52710f4d2c01635f5f6275696c"
        .. "74696e5f5f0a66726f7a656e7365740a7110285d71114b0761747112527113652e",
      [2] = "80025d7100284e884afbffffff4a701101008a060000000000018a090000000000000000c0473ff80000000000005802000000c3"
        .. "a97101635f636f646563730a656e636f64650a7102580300000000c3bf710358060000006c6174696e3171048671055271064b01"
        .. "857107284b014b024b034b047471087d7109580100000061710a5d710b284b014b026573635f5f6275696c74696e5f5f0a736574"
        .. "0a710c5d710d4b036185710e52710f4d2c01635f5f6275696c74696e5f5f0a66726f7a656e7365740a71105d71114b0761857112"
        .. "527113652e",
      [3] = "80035d7100284e884afbffffff4a701101008a060000000000018a090000000000000000c0473ff80000000000005802000000c3"
        .. "a97101430200ff71024b01857103284b014b024b034b047471047d710558010000006171065d7107284b014b026573636275696c"
        .. "74696e730a7365740a71085d71094b036185710a52710b4d2c01636275696c74696e730a66726f7a656e7365740a710c5d710d4b"
        .. "076185710e52710f652e",
      [4] = "80049563000000000000005d94284e884afbffffff4a701101008a060000000000018a090000000000000000c0473ff800000000"
        .. "00008c02c3a994430200ff944b018594284b014b024b034b0474947d948c0161945d94284b014b0265738f94284b03904d2c0128"
        .. "4b079194652e",
      [5] = "80059563000000000000005d94284e884afbffffff4a701101008a060000000000018a090000000000000000c0473ff800000000"
        .. "00008c02c3a994430200ff944b018594284b014b024b034b0474947d948c0161945d94284b014b0265738f94284b03904d2c0128"
        .. "4b079194652e",
    }
    for protocol = 0, 5 do
      local bytes = written[protocol]:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)
      local e, raw = "é", "\0\xff"
      local long = "\0\0\0\0\0\0\0\0\xc0"
      if protocol == 0 then e, raw = "\xe9", "\\u0000\xff" end -- text in Latin-1, with escapes
      if protocol == 1 or protocol == 2 then raw = "\0\xc3\xbf" end -- bytes as text, to be encoded
      if protocol < 2 then long = "-1180591620717411303424" end
      assert.same({ "list", pickle.none, true, -5, 70000, 1 << 40, { "long", long }, 1.5, e, raw, { "tuple", 1 },
        { "tuple", 1, 2, 3, 4 }, { a = { "list", 1, 2 } }, { "set", 3 }, 300, { "set", 7 } }, plain(load(bytes)))
    end
  end)

  it("reads numbers of every kind", function()
    for body, value in pairs {
      ["J\xff\xff\xff\xff"] = -1, ["K\xff"] = 255, ["M\xff\xff"] = 65535, ["\x8a\0"] = 0, ["\x8a\1\xff"] = -1,
      ["\x8a\5\0\0\0\0\1"] = 1 << 32, ["\x8b\3\0\0\0\0\0\1"] = 1 << 16, ["I-12\n"] = -12, ["L12L\n"] = 12,
      ["F-1.5\n"] = -1.5, ["Finf\n"] = math.huge, [p.float(0.1)] = 0.1, ["I01\n"] = true, ["I00\n"] = false,
    } do
      local result = load(p.stream(body))
      assert.equal(value, result)
      assert.equal(math.type(value), math.type(result))
    end
    assert.same({ "long", "123456789" }, plain(load(p.stream "\x8a\x09123456789")))
  end)

  it("keeps containers that contain themselves", function()
    local list = load(p.stream "]q\0h\0a")
    assert.equal(list, list[1])
    local dict = load(p.stream("}q\0" .. p.str "me" .. "h\0s"))
    assert.equal(dict, pickle.get(dict, "me"))
  end)

  it("gives the last of equal keys, and says where the stream ends", function()
    local bytes = p.stream(p.dict(p.str "a", p.int(1), p.str "a", p.int(2)))
    local dict, stop = load(bytes .. "more")
    assert.equal(2, pickle.get(dict, "a"))
    assert.is_nil(pickle.get(dict, "b"))
    assert.equal(#bytes, stop)
  end)

  it("reads across the ends of its windows", function()
    local long = ("x"):rep(70000)
    local list = load(p.stream(p.list(p.str(long), p.int(5), p.str(long), p.str(long))))
    assert.same({ "list", long, 5, long, long }, plain(list))
  end)

  it("makes Python's containers and keeps nothing of records", function()
    local pairs_of = p.list(p.list(p.str "a", p.int(1)))
    assert.same({ a = 1 }, plain(load(p.stream(p.call("collections", "OrderedDict", pairs_of)))))
    assert.same({ a = 1 }, plain(load(p.stream(p.call("collections", "Counter", p.dict(p.str "a", p.int(1)))))))
    assert.same({ "set", 1 }, plain(load(p.stream(p.call("__builtin__", "set", p.list(p.int(1)))))))
    assert.same({ b = 2 }, plain(load(p.stream(p.call("collections", "defaultdict", p.global("builtins", "dict"))
      .. p.str "b" .. p.int(2) .. "s"))))
    assert.same({ "record", "argparse.Namespace" },
      plain(load(p.stream(p.global("argparse", "Namespace") .. ")\x81" .. p.dict(p.str "lr", p.int(1)) .. "b"))))
    assert.same({ "record", "argparse.Namespace" },
      plain(load(p.stream(p.str "argparse" .. p.str "Namespace" .. "\x93)}\x92", 4))))
  end)

  it("refuses every name that it does not know, whichever way it is named", function()
    for _, bytes in ipairs {
      p.stream(p.call("os", "system", p.str "true")),
      p.stream(p.str "os" .. p.str "system" .. "\x93" .. p.tuple(p.str "true") .. "R", 4),
      "(S'true'\nios\nsystem\n.",
      "(cos\nsystem\nS'true'\no.",
      "cos\nsystem\n(S'true'\ntR.",
      p.stream(p.global("os", "system") .. ")\x81"),
      p.stream("cos\nsystem\n"),
    } do
      assert.equal("refused os.system", complaint(bytes))
    end
    assert.equal("refused builtins.eval", complaint(p.stream(p.call("builtins", "eval", p.str "1"))))
    assert.equal("refused builtins.getattr", complaint(p.stream(p.global("builtins", "getattr"))))
    assert.equal("refused a.b\0c.d", complaint(p.stream(p.global("a.b\0c", "d"))))
  end)

  it("calls nothing but what it knows how to call", function()
    assert.equal("'x' is not callable", complaint(p.stream(p.str "x" .. p.tuple() .. "R")))
    assert.equal("a list is not callable", complaint(p.stream "])R"))
    assert.equal("None is not callable", complaint(p.stream "N)\x81"))
    assert.equal("builtins.int is not callable",
      complaint(p.stream(p.call("builtins", "int", p.str "1"))))
    assert.equal("call of collections.OrderedDict: expected a tuple of arguments, got a list",
      complaint(p.stream(p.global("collections", "OrderedDict") .. "]R")))
    assert.equal("call of collections.OrderedDict: invalid arguments",
      complaint(p.stream(p.call("collections", "OrderedDict", p.int(3)))))
    assert.equal("state for a tuple, which is no object", complaint(p.stream ")}b"))
    assert.equal("state for 1, which is no object", complaint(p.stream "K\1}b"))
    assert.equal("state for collections.OrderedDict, which is no object",
      complaint(p.stream(p.global("collections", "OrderedDict") .. "}b")))
    assert.equal("keyword arguments are not supported",
      complaint(p.stream(p.global("argparse", "Namespace") .. ")" .. p.dict(p.str "a", p.int(1)) .. "\x92")))
  end)

  it("refuses streams that are cut short, at every place", function()
    local whole = p.stream(p.dict(p.str "a", p.list(p.int(1), p.float(2), p.call("collections", "OrderedDict")))
      .. "q\0")
    load(whole)
    for length = 0, #whole - 1 do
      assert.equal("cut short", complaint(whole:sub(1, length)))
    end
  end)

  it("refuses what its stack, marks and memo do not have", function()
    for body, message in pairs {
      [""] = "stack underflow",
      ["(K\1R"] = "stack underflow",
      ["K\1(a"] = "stack underflow",
      ["t"] = "mark not found on the stack",
      ["h\5"] = "undefined memo index",
      ["j\xff\xff\xff\xff"] = "undefined memo index",
      ["q\5"] = "stack underflow",
      ["p-1\n"] = "negative memo index",
      ["K\1K\1a"] = "append to 1, which is no list",
      ["}K\1a"] = "append to a dict, which is no list",
      ["](K\1K\1u"] = "item assignment to a list, which is no dictionary",
      ["}(K\1u"] = "dictionary key without a value",
      ["\xff"] = "unknown opcode 0xff",
      ["\x82\1"] = "registered extensions are not supported",
      ["Px\n"] = "persistent names of protocol 0 are not supported",
      ["\x97"] = "buffers outside of the stream are not supported",
      ["\x80\9"] = "protocol 9 is not supported",
      ["Ix\n"] = "expected a whole number, got 'x'",
      ["g99999999999999999999\n"] = "memo index of more than 64 bits",
      ["F0x1p4\n"] = "expected a number, got '0x1p4'",
      ["Sx\n"] = "expected a quoted string, got 'x'",
      ["K\1K\2\x93"] = "global name is no text",
    } do
      assert.equal(message, complaint("\x80\2" .. body .. "."))
    end
  end)

  it("believes no length", function()
    for _, body in ipairs { "X\xff\xff\xff\xff", "T\xff\xff\xff\x7f", "T\xff\xff\xff\xff", "\x8b\xff\xff\xff\x7f",
      "\x8b\xff\xff\xff\xff", "\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
      "\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "\x8a\xff", "U\xff", "B\0\0\0\x80", "\x96\xff\xff\xff\xff\0\0\0\0" } do
      assert.equal("cut short", complaint(p.stream(body)))
    end
    assert.equal("expected a line of text", complaint(p.stream("c" .. ("x"):rep(5000) .. "\nname\n")))
  end)

  it("takes no more memory than its budget, nor ever recurses", function()
    local deep = load(p.stream(("("):rep(20000) .. ("l"):rep(20000)), { budget = 1 << 24 })
    local depth = 0
    while deep do deep, depth = deep[1], depth + 1 end
    assert.equal(20000, depth)
    load(p.stream(("]"):rep(20000) .. ("a"):rep(19999)), { budget = 1 << 24 })
    local budget = "contents exceed twice the size of the file"
    assert.equal(budget, complaint(p.stream(("]"):rep(20000))))
    assert.equal(budget, complaint(p.stream("]" .. ("\x94"):rep(40000))))
    assert.equal(budget, complaint(p.stream("(" .. ("N"):rep(70000) .. "t")))
    assert.equal(budget, complaint(p.stream("]" .. ("2"):rep(70000))))
    assert.equal(budget, complaint(p.stream(("("):rep(70000))))
    for name, start in pairs { list = "](" .. ("N"):rep(1000) .. "e", dict = "}(" .. ("N"):rep(1000) .. "u" } do
      local copies = (p.global("builtins", name) .. "h\0\x85R0"):rep(1000)
      assert.equal(budget, complaint(p.stream(start .. "q\0" .. copies)))
    end
  end)
end)
