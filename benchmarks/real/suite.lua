-- What Lua programs do: calls, tables, closures, strings and patterns, metatables, coroutines, sorting, numbers.
-- arg[1]: rounds. Prints a line for each part, the same everywhere.

local rounds = tonumber(arg and arg[1]) or 1

local seed = 42
local function random(n)
  seed = (seed * 1103515245 + 12345) & 0x7fffffff
  return (seed >> 8) % n
end

local function mix(hash, value)
  return ((hash ~ value) * 0x100000001b3) & 0xffffffffffff
end

local parts = {}

function parts.calls()
  local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
  local function ackermann(m, n)
    if m == 0 then return n + 1 end
    if n == 0 then return ackermann(m - 1, 1) end
    return ackermann(m - 1, ackermann(m, n - 1))
  end
  return fib(21) * 1000 + ackermann(2, 40)
end

function parts.tables()
  local queue, hash = {}, 7
  for i = 1, 3000 do queue[#queue + 1] = random(1000) end
  for i = 1, 3000, 3 do queue["k" .. i] = queue[i] end
  for i = 1, 400 do table.insert(queue, 1 + random(100), i); hash = mix(hash, table.remove(queue, 50)) end
  for i = 1, 3000, 3 do hash = mix(hash, queue["k" .. i]) end
  return hash
end

function parts.sieve()
  local composite, count = {}, 0
  for i = 2, 12000 do
    if not composite[i] then
      count = count + 1
      for j = i * i, 12000, i do composite[j] = true end
    end
  end
  return count
end

function parts.closures()
  local function counter(step)
    local n = 0
    return function() n = n + step; return n end
  end
  local all, sum = {}, 0
  for i = 1, 50 do all[i] = counter(i) end
  for _ = 1, 200 do for i = 1, #all do sum = sum + all[i]() end end
  return sum
end

function parts.strings()
  local words, hash = {}, 1
  for i = 1, 1200 do
    local letters = {}
    for j = 1, 3 + random(6) do letters[j] = string.char(97 + random(26)) end
    words[i] = table.concat(letters)
  end
  local text = table.concat(words, " ")
  for word in text:gmatch("%a+") do hash = mix(hash, #word + word:byte(1)) end
  local replaced, n = text:gsub("([aeiou])(%a)", "%2%1")
  hash = mix(hash, n)
  for a, b in replaced:gmatch("(%a%a)(%a) ") do hash = mix(hash, (a .. b):byte(2)) end
  for i = 1, 300 do hash = mix(hash, #string.format("%5d|%-8s|%x|%.3f", i, words[i], i * 77, i / 7)) end
  return mix(hash, text:upper():reverse():find("A", 50, true) or 0)
end

function parts.objects()
  local Shape = {}
  Shape.__index = Shape
  function Shape.new(w, h) return setmetatable({ w = w, h = h }, Shape) end
  function Shape:area() return self.w * self.h end
  local Square = setmetatable({}, { __index = Shape })
  Square.__index = Square
  function Square.new(w) return setmetatable({ w = w, h = w }, Square) end
  Shape.__add = function(a, b) return Shape.new(a.w + b.w, a.h + b.h) end
  Square.__add = Shape.__add
  local total = Shape.new(0, 0)
  local sum = 0
  for i = 1, 4000 do
    local shape = i % 3 == 0 and Square.new(random(50)) or Shape.new(random(50), random(50))
    sum = sum + shape:area()
    total = total + shape
  end
  return sum + total:area() % 100003
end

function parts.coroutines()
  local function walk(n, prefix)
    if n == 0 then coroutine.yield(prefix) return end
    for i = 1, 3 do walk(n - 1, prefix * 3 + i) end
  end
  local hash = 3
  for value in coroutine.wrap(function() walk(6, 0) end) do hash = mix(hash, value) end
  return hash
end

function parts.sorting()
  local list = {}
  for i = 1, 2500 do list[i] = { key = random(10000), id = i } end
  table.sort(list, function(a, b) if a.key ~= b.key then return a.key < b.key end return a.id < b.id end)
  local hash = 5
  for i = 1, #list, 7 do hash = mix(hash, list[i].id) end
  return hash
end

function parts.numbers()
  local n, sum = 28, 0.0
  local a, b = {}, {}
  for i = 1, n do
    a[i], b[i] = {}, {}
    for j = 1, n do a[i][j], b[i][j] = (i * j) % 7 / 4, (i + j) % 5 / 8 end
  end
  for i = 1, n do
    for j = 1, n do
      local t = 0.0
      for k = 1, n do t = t + a[i][k] * b[k][j] end
      sum = sum + t * 0.5
    end
  end
  local x = 0.3
  for _ = 1, 4000 do x = 3.9 * x * (1 - x) end
  return string.format("%a %a", sum, x)
end

local order = { "calls", "tables", "sieve", "closures", "strings", "objects", "coroutines", "sorting", "numbers" }
local results = {}
for _ = 1, rounds do
  for _, name in ipairs(order) do results[name] = parts[name]() end
end
for _, name in ipairs(order) do print(name, results[name]) end
