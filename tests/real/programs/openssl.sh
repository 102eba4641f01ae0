# Known answers: digests, MACs, ciphers, key derivation, signatures and key agreement.
set -u
export LC_ALL=C
cd "$(mktemp -d)"
section() { printf -- '-- %s\n' "$1"; }
seq 1 20000 > data
printf '' > empty
printf abc > abc
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
iv=0f0e0d0c0b0a09080706050403020100

section dgst
for digest in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-256 sha3-512 shake128 blake2b512 blake2s256 ripemd160 sm3; do
  extra=; [[ $digest == shake128 ]] && extra='-xoflen 32'
  openssl dgst -$digest $extra empty abc data
done
openssl dgst -sha256 -hmac secret data
openssl mac -cipher AES-256-CBC -macopt hexkey:$key -in data CMAC
openssl mac -macopt hexkey:$key -in data POLY1305

section enc
for cipher in aes-128-cbc aes-192-cbc aes-256-cbc aes-256-ctr aes-128-ecb aes-256-ofb aes-128-cfb8 aes-256-cfb1 camellia-256-cbc aria-192-ctr chacha20 sm4-cbc des-ede3-cbc; do
  bytes=$(openssl enc -$cipher -K $key -iv $iv -in data 2> /dev/null | tee encrypted | openssl dgst -sha256 -r)
  openssl enc -d -$cipher -K $key -iv $iv -in encrypted 2> /dev/null | cmp - data && echo "$cipher ${bytes%% *}"
done
openssl enc -aes-256-cbc -pbkdf2 -iter 1000 -S 0102030405060708 -pass pass:word -in data -a | tail -n 1
openssl enc -base64 -in abc; echo YWJj | openssl enc -base64 -d; echo
openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt pass:word -kdfopt salt:salt -kdfopt iter:1000 PBKDF2
openssl kdf -keylen 32 -kdfopt pass:word -kdfopt salt:salt -kdfopt n:1024 -kdfopt r:8 -kdfopt p:1 SCRYPT

section pkeyutl
# A fixed key: RFC 8032, section 7.1, test 2.
ed=302e020100300506032b6570042204204ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb
unhex() { printf "$(sed 's/../\\x&/g' <<< "$1")"; }
unhex $ed > ed.der; printf '\x72' > message
openssl pkeyutl -sign -rawin -keyform DER -inkey ed.der -in message | od -An -v -tx1 | tr -d ' \n'; echo
openssl pkey -inform DER -in ed.der -pubout -out ed.pub
openssl pkeyutl -sign -rawin -keyform DER -inkey ed.der -in message -out signature
openssl pkeyutl -verify -rawin -pubin -inkey ed.pub -in message -sigfile signature
for curve in prime256v1 secp384r1 secp521r1 brainpoolP256r1; do
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$curve -out ec1.pem
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$curve -out ec2.pem
  openssl pkey -in ec1.pem -pubout -out ec1.pub; openssl pkey -in ec2.pem -pubout -out ec2.pub
  openssl pkeyutl -derive -inkey ec1.pem -peerkey ec2.pub -out secret1
  openssl pkeyutl -derive -inkey ec2.pem -peerkey ec1.pub -out secret2
  cmp secret1 secret2 && echo "$curve agrees on $(wc -c < secret1) bytes"
  openssl dgst -sha256 -sign ec1.pem -out signature data; openssl dgst -sha256 -verify ec1.pub -signature signature data
done
for algorithm in X25519 X448; do
  openssl genpkey -algorithm $algorithm -out x1.pem; openssl genpkey -algorithm $algorithm -out x2.pem
  openssl pkey -in x1.pem -pubout -out x1.pub; openssl pkey -in x2.pem -pubout -out x2.pub
  cmp <(openssl pkeyutl -derive -inkey x1.pem -peerkey x2.pub) <(openssl pkeyutl -derive -inkey x2.pem -peerkey x1.pub) && echo $algorithm agrees
done
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa.pem 2> /dev/null
openssl pkey -in rsa.pem -pubout -out rsa.pub
openssl pkeyutl -encrypt -pubin -inkey rsa.pub -pkeyopt rsa_padding_mode:oaep -in abc | openssl pkeyutl -decrypt -inkey rsa.pem -pkeyopt rsa_padding_mode:oaep; echo
openssl dgst -sha256 -sign rsa.pem -sigopt rsa_padding_mode:pss -out signature data
openssl dgst -sha256 -verify rsa.pub -sigopt rsa_padding_mode:pss -signature signature data
openssl dgst -sha256 -verify rsa.pub -sigopt rsa_padding_mode:pss -signature signature abc 2> /dev/null; echo $?
openssl req -x509 -new -key rsa.pem -subj /CN=polyvm -days 1 -out cert.pem 2> /dev/null
openssl verify -CAfile cert.pem cert.pem; openssl x509 -in cert.pem -noout -subject
openssl rand 16 | wc -c; openssl prime 18446744073709551557
