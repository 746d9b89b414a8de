local csv = require "secateur.util.csv"
local files = require "secateur.util.files"
local temporary = require "support.temporary"

-- Rows without their line numbers.
local function plain(rows)
  local result = {}
  for i, row in ipairs(rows) do result[i] = table.move(row, 1, #row, 1, {}) end
  return result
end

describe("util.csv", function()
  describe("parse", function()
    it("reads plain and quoted fields", function()
      assert.same({ { "a", "b c", "" }, { "", "", "" }, { 'say "hi"', "x,y", "two\r\nlines" } },
        plain(assert(csv.parse('a,b c,\n,,\n"say ""hi""","x,y","two\r\nlines"'))))
    end)

    it("takes all line endings, with or without one at the end", function()
      for _, ending in ipairs { "\n", "\r\n", "\r" } do
        for _, last in ipairs { "", ending } do
          local text = "a,b" .. ending .. '"c",d' .. last
          assert.same({ { "a", "b" }, { "c", "d" } }, plain(assert(csv.parse(text))))
        end
      end
    end)

    it("skips a byte order mark and blank lines, and counts lines as an editor does", function()
      local rows = assert(csv.parse('\239\187\191a\n\n"b\n\nb",c\r\n\r\nd'))
      assert.same({ { "a" }, { "b\n\nb", "c" }, { "d" } }, plain(rows))
      assert.same({ 1, 3, 7 }, { rows[1].line, rows[2].line, rows[3].line })
    end)

    it("takes other separators", function()
      assert.same({ { "a", "b,c", "d;e" } }, plain(assert(csv.parse('a;b,c;"d;e"', { separator = ";" }))))
      assert.same({ { "a", "b^c" } }, plain(assert(csv.parse("a\tb^c", { separator = "\t" }))))
      assert.same({ { "a", "b-]c" } }, plain(assert(csv.parse("a^b-]c", { separator = "^" }))))
    end)

    it("reads an empty text as no rows", function()
      assert.same({}, csv.parse "")
      assert.same({}, csv.parse "\239\187\191\r\n")
      assert.same({ { "" } }, plain(assert(csv.parse '""')))
    end)

    it("says where a malformed text is wrong", function()
      local function message(text)
        local rows, problem = csv.parse(text, { name = "t.csv" })
        assert.is_nil(rows)
        return problem
      end
      assert.equal("t.csv:2: a quoted field has no closing quote", message 'a\nb,"c\nd')
      assert.equal("t.csv:3: a quote inside an unquoted field", message 'a\n\nb,c"d"')
      assert.equal("t.csv:3: expected a separator or the end of the line after a closing quote", message '"a\n\nb"c')
      assert.equal("t.csv:2: a zero byte; this is not UTF-8 or ASCII text", message "a\nb\0c")
      assert.equal("t.csv:1: a zero byte; this is not UTF-8 or ASCII text but UTF-16: save it as UTF-8",
        message "\xFF\xFEa\0b\0")
      assert.equal("t.csv:1: more than 4096 fields in a row", message((","):rep(5000)))
    end)

    it("survives every truncation and any flipped byte", function()
      local text = '\239\187\191file,label\r\n"a ""b"" c",x\r\n"multi\nline","y"\r\nlast,z'
      for i = 0, #text do
        local rows, problem = csv.parse(text:sub(1, i))
        assert.is_true(type(rows) == "table" or type(problem) == "string")
      end
      for i = 1, #text do
        for _, byte in ipairs { 0, 10, 13, 34, 44, 255 } do
          local rows, problem = csv.parse(text:sub(1, i - 1) .. string.char(byte) .. text:sub(i + 1))
          assert.is_true(type(rows) == "table" or problem:find("^csv:%d+: ") ~= nil)
        end
      end
    end)
  end)

  describe("files", function()
    local root
    before_each(function() root = temporary.folder() end)
    after_each(function() assert(files.remove(root)) end)

    it("are read as records by column name, in any order", function()
      local path = temporary.write(root, "t.csv", 'label, "x", file \nb,1,"a, 1.png"\n c ,2,2.png\n')
      local _, message = csv.records(path, { "file", "label" })
      assert.equal(path .. ":1: a quote inside an unquoted field", message)
      temporary.write(root, "t.csv", 'label,"x", file \nb,1,"a, 1.png"\n c ,2,2.png\n')
      assert.same({ { file = "a, 1.png", label = "b", line = 2 }, { file = "2.png", label = "c", line = 3 } },
        csv.records(path, { "file", "label" }))
    end)

    it("are refused without the columns asked for", function()
      local path = temporary.write(root, "t.csv", "file,class\na,b\n")
      assert.same({ nil, path .. ": no column 'label'; its columns are: 'file', 'class'" },
        { csv.records(path, { "file", "label" }) })
      temporary.write(root, "t.csv", "\n")
      assert.same({ nil, path .. ": no column 'label'; its columns are: none (the file is empty)" },
        { csv.records(path, { "label" }) })
      temporary.write(root, "t.csv", "a,b\n1,2\n\n3\n")
      assert.same({ nil, path .. ":4: expected 2 fields, got 1" }, { csv.records(path, { "a" }) })
      temporary.write(root, "t.csv", "a,b,a\n")
      assert.same({ nil, path .. ":1: column 'a' occurs twice" }, { csv.records(path, { "a" }) })
      assert.same({}, csv.records(path, { "b" })) -- of a column that nobody reads it is no matter
    end)

    it("give columns that may be there, and find their separator", function()
      for _, separator in ipairs { ",", ";", "\t" } do
        local text = ('"x,;\ty"S"b"Sc\n1S2S3\n'):gsub("S", separator)
        local path = temporary.write(root, "t.csv", text)
        assert.same({ { b = "2", c = "3", line = 2 } },
          csv.records(path, { "b" }, { separator = "detect", optional = { "c", "d" } }))
      end
      assert.same({ { "one" }, { "2" } }, plain(csv.read(temporary.write(root, "t.csv", "one\n2\n"),
        { separator = "detect" })))
    end)

    it("are refused where they are missing or too large", function()
      local path = temporary.write(root, "t.csv", "a,b\n")
      assert.same({ nil, path .. ": larger than 3 bytes: leave rows or columns out" },
        { csv.read(path, { max_bytes = 3 }) })
      local rows, message = csv.read(root .. "/none.csv")
      assert.is_nil(rows)
      assert.equal(root .. "/none.csv: No such file or directory", message)
    end)

    it("are read in pieces, wherever these end", function()
      local rows = 'x,"a ""b"" c"\r\n\r\n"l1\nl2\r\nl3",\n\r"",z\r\n"last"\r'
      for length = 65536 - #rows - 8, 65536 + 1 do
        local text = ("p"):rep(length) .. "\r\n" .. rows
        local path = temporary.write(root, "t.csv", text)
        assert.same(csv.parse(text), csv.read(path))
      end
    end)

    it("may have long rows, but no endless ones", function()
      local long = ("12 34 "):rep(100000) -- 600 KB
      local path = temporary.write(root, "t.csv", 'file,mask\na,"' .. long .. '"\nb,' .. long .. "\n")
      assert.same({ { file = "a", line = 2 }, { file = "b", line = 3 } }, csv.records(path, { "file" }))
      temporary.write(root, "t.csv", 'file,mask\n"a,' .. long:rep(35) .. "\n")
      assert.same({ nil, path .. ":2: a row of more than 16777216 bytes: is a quote left open?" },
        { csv.records(path, { "file" }) })
      temporary.write(root, "t.csv", 'file,mask\n"a,' .. long .. "\n")
      assert.same({ nil, path .. ":2: a quoted field has no closing quote" }, { csv.records(path, { "file" }) })
      temporary.write(root, "t.csv", ("line\n"):rep(20000) .. "zero\0")
      assert.same({ nil, path .. ":20001: a zero byte; this is not UTF-8 or ASCII text" }, { csv.read(path) })
      temporary.write(root, "t.csv", "\xFF\xFEa\0b\0")
      assert.matches("but UTF%-16", select(2, csv.read(path)))
    end)

    it("are never in memory whole", function()
      local line = "a.png,b," .. ("x"):rep(2000) .. "\n"
      local path = temporary.write(root, "t.csv", "file,label,rest\n" .. line:rep(500)) -- 1 MB
      local open, most, total = files.open, 0, 0
      finally(function() files.open = open end)
      files.open = function(name)
        local file = open(name)
        local function read(_, count)
          local piece = file:read(count)
          most, total = math.max(most, count), total + #(piece or "")
          return piece
        end
        return setmetatable({ read = read }, { __close = function() file:close() end })
      end
      assert.equal(500, #csv.records(path, { "file", "label" }))
      assert.equal(16 + 500 * #line, total)
      assert.equal(65536, most)
    end)

    it("that are pipes or devices are refused, not waited on", function()
      assert(os.execute(("mkfifo '%s/pipe'"):format(root)))
      assert.same({ nil, root .. "/pipe: expected a file, got a named pipe" }, { csv.read(root .. "/pipe") })
      assert.same({ nil, "/dev/zero: expected a file, got a char device" }, { csv.read "/dev/zero" })
    end)

    it("read back as they were written", function()
      local path = root .. "/t.csv"
      local rows = { { "a", "b;c", 'd"e' }, { "", "x\ny", "z\r" }, { "" }, { "last", " spaced ", "ä" } }
      for _, separator in ipairs { ",", ";", "\t", "^" } do
        for _, newline in ipairs { "\n", "\r\n" } do
          assert(csv.write(path, rows, { separator = separator, newline = newline }))
          assert.same(rows, plain(assert(csv.read(path, { separator = separator }))))
        end
      end
    end)

    it("read back by name where they were records, gaps empty", function()
      local path = root .. "/r.csv"
      assert(csv.write_records(path, { "a", "b", "c" }, { { c = 1.5, a = "x" }, { b = "y,z" }, {} }))
      local records = assert(csv.records(path, { "a", "b", "c" }))
      local read = {}
      for i, record in ipairs(records) do read[i] = { record.a, record.b, record.c } end
      assert.same({ { "x", "", "1.5" }, { "", "y,z", "" }, { "", "", "" } }, read)
      local written, message = csv.write_records(root .. "/r.csv/none.csv", { "a" }, {})
      assert.is_nil(written)
      assert.matches("r%.csv/none%.csv", message)
    end)

    it("hold numbers that read back the same, booleans and gaps", function()
      local text = csv.encode { { 1, 0.1, 1 / 3, 2.0, 1e300, -0.05 }, { true, nil, "x", n = 4 }, { 0 / 0, 1 / 0 } }
      assert.equal("1,0.1,0.3333333333333333,2,1e+300,-0.05\ntrue,,x,\nnan,inf\n", text)
      assert.equal(1 / 3, tonumber("0.3333333333333333"))
    end)
  end)
end)
