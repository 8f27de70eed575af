#!/bin/sh
# What expires, against the real thing: certificates that openssl makes, of RSA and EC, as PEM and DER, in chains and in a key store
# of 100 files; and files whose age counts. With `nefia-beacon once`, and in a running beacon while they are replaced.
#   tests/sensors_certificate_test.sh [BEACON]      default: out/host/nefia-beacon
cd "$(dirname "$0")/.." || exit 1
. tests/lib.sh
. tests/beacon_lib.sh

store=$dir/store
mkdir "$store" "$dir/ca"
chmod 755 "$dir" "$store"
: >"$dir/ca/index.txt"
cat >"$dir/ca/ca.cnf" <<CNF
[ca]
default_ca = here
[here]
dir = $dir/ca
database = $dir/ca/index.txt
new_certs_dir = $dir/ca
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
organizationName = optional
commonName = optional
CNF

# key NAME KIND…: a private key, of openssl's -newkey.
key()
{
    name=$1
    shift
    openssl req -new -nodes -newkey "$@" -keyout "$dir/ca/$name.key" -subj /CN=unused -out "$dir/ca/unused.csr" 2>/dev/null
}

# certificate FILE KEY SUBJECT END: signed by itself, to be valid until then, "date -d" says when. In PEM.
certificate()
{
    openssl req -new -key "$dir/ca/$2.key" -subj "$3" -out "$dir/ca/request"
    openssl ca -batch -config "$dir/ca/ca.cnf" -selfsign -keyfile "$dir/ca/$2.key" -in "$dir/ca/request" -notext \
        -startdate 20200101000000Z -enddate "$(date -u -d "$4" +%Y%m%d%H%M%SZ)" -out "$dir/ca/made" 2>"$dir/ca/log"
    cat "$dir/ca/made" >"$1"
}

fingerprint()
{
    openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//;s/://g' | tr A-F a-f
}

not_after()
{
    date -u -d "$(openssl x509 -in "$1" -noout -enddate | sed 's/.*=//')" +%Y-%m-%dT%H:%M:%SZ
}

# once STATUS PATH…: what `once` shows of them is in $dir/out and $dir/err.
once()
{
    status=$1
    shift
    printf 'beacons:\n  certificate_expiry:\n    paths:\n' >"$dir/once.yaml"
    printf '      - %s\n' "$@" >>"$dir/once.yaml"
    "$beacon" once -c "$dir/once.yaml" >"$dir/out" 2>"$dir/err"
    [ $? -eq "$status" ]
}

# shown NAME PATTERN: the one event that there is has it.
shown()
{
    [ "$(wc -l <"$dir/out")" -eq 1 ] && grep -q -e "$2" "$dir/out"
    result "$1" $?
}

if ! command -v openssl >/dev/null; then
    echo "not counted: certificates, which takes openssl"
    finish
    exit
fi

# ---- kinds of keys and files ----
for kind in rsa:2048 rsa:4096 'ec -pkeyopt ec_paramgen_curve:P-256' 'ec -pkeyopt ec_paramgen_curve:P-384' \
    'ec -pkeyopt ec_paramgen_curve:secp256k1' ed25519; do
    # shellcheck disable=SC2086 # kind and its options
    key k $kind
    certificate "$dir/c.pem" k "/O=Nefia/CN=router one" '10 days'
    openssl x509 -in "$dir/c.pem" -outform DER -out "$dir/c.der"
    for form in pem der; do
        once 0 "$dir/c.$form"
        shown "$kind as $form" "\"cert.expiring\".*\"warning\".*\"path\":\"$dir/c.$form\",\"subject\":\"router one\",\"fingerprint\":\"$(fingerprint "$dir/c.pem")\",\"not_after\":\"$(not_after "$dir/c.pem")\",\"seconds_left\":[1-9][0-9]*}"
    done
done
key rsa rsa:2048
key ec ec -pkeyopt ec_paramgen_curve:P-256

# ---- when it ends ----
certificate "$dir/c.pem" ec /CN=c '23 hours'
once 0 "$dir/c.pem"
shown "within a day it is critical" '"cert.expiring".*"severity":"critical"'
certificate "$dir/c.pem" ec /CN=c '-1 hour'
once 0 "$dir/c.pem"
shown "one that has expired" '"cert.expired".*"severity":"critical".*"seconds_left":-[1-9][0-9]*}'
for years in 20 30 100; do
    certificate "$dir/c.pem" rsa /CN=c "$years years"
    once 0 "$dir/c.pem" && [ ! -s "$dir/out" ]
    result "one that lasts $years years" $?
done

# ---- chains and bundles ----
certificate "$dir/leaf.pem" ec /CN=leaf '300 days'
certificate "$dir/ca.pem" rsa /CN=authority '5 days'
certificate "$dir/root.pem" rsa /CN=root '3000 days'
cat "$dir/ca/ec.key" "$dir/leaf.pem" "$dir/ca.pem" "$dir/root.pem" >"$dir/chain.pem"
once 0 "$dir/chain.pem"
shown "of a chain the one that ends first counts" "\"subject\":\"authority\".*\"fingerprint\":\"$(fingerprint "$dir/leaf.pem")\""
for i in $(seq 100); do
    cat "$dir/root.pem" "$dir/leaf.pem"
done >"$dir/bundle.pem"
once 0 "$dir/bundle.pem" && [ ! -s "$dir/out" ]
result "a bundle of 200" $?
cat "$dir/ca.pem" >>"$dir/bundle.pem"
once 0 "$dir/bundle.pem"
shown "also its last one counts" '"subject":"authority"'
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    once 0 /etc/ssl/certs/ca-certificates.crt
    result "the authorities of this machine" $?
fi

# ---- a key store ----
for i in $(seq 60); do
    certificate "$store/$i.pem" ec "/CN=host $i" "$((100 + i)) days"
    openssl x509 -in "$store/$i.pem" -outform DER -out "$store/$i.der"
    [ "$i" -le 40 ] || mv "$store/$i.der" "$store/$i.crt"
done
i=60
while [ "$i" -gt 50 ]; do
    rm "$store/$i.pem" "$store/$i.crt"
    i=$((i - 1))
done
cp "$dir/ca/ec.key" "$store/key.txt"
[ "$(find "$store" -name '*.[pcd]*' | wc -l)" -eq 100 ]
result "a key store of 100 certificates is made" $?
once 0 "$store" && [ ! -s "$dir/out" ]
result "all of them are valid" $?
certificate "$store/7.pem" rsa "/CN=host 7" '3 days'
once 0 "$store"
shown "but for one" "\"path\":\"$store/7.pem\",\"subject\":\"host 7\""
mkfifo "$store/pipe.pem"
once 1 "$store"
shown "what is no file does not stand in the way" '"subject":"host 7"'
says "and is not measured" "^certificate_expiry: not measured: $store/pipe.pem: not a regular file" err
rm "$store/pipe.pem"
head -c 300 "$dir/root.pem" >"$store/cut.pem"
once 1 "$store"
says "neither is half a certificate" "cut.pem: not a whole certificate" err
rm "$store/cut.pem"
ln -s nowhere "$store/link.pem"
once 1 "$store" "$dir/none.pem"
says "nor a link that leads nowhere" "link.pem: No such file or directory" err
ln -sf ../leaf.pem "$store/link.pem"
once 0 "$store"
shown "a link that leads to one is followed" '"subject":"host 7"'

# ---- in a running beacon ----
certificate "$dir/live.pem" ec /CN=first '40 days'
certificate "$dir/next.pem" ec /CN=second '4 days'
certificate "$dir/soon.pem" ec /CN=third '8 seconds'
printf 'secret' >"$dir/psk"
chmod 000 "$dir/psk"
credentials()
{
    echo "  sdwan_credential_expiry:
    interval: 1s
    credentials:
      - {name: hub, kind: wireguard_psk, file: $dir/psk, lifetime: $1}
      - {name: ike, kind: ipsec, expires: \"$(date -u -d "$2" +%Y-%m-%dT%H:%M:%SZ)\"}"
}
certificates="  certificate_expiry: {interval: 1s, paths: [$store, $dir/live.pem, $dir/soon.pem]}"

comes()
{
    within heard "$2"
    result "$1" $?
}

run "$certificates
$(credentials 1d '14 minutes')"
comes "what is in the store" '"cert.expiring".*"subject":"host 7"'
comes "one that ends meanwhile" '"cert.expired".*"subject":"third".*"seconds_left":-'
comes "a credential that ends soon" '"sdwan.credential_expiring".*"warning".*"name":"ike","kind":"ipsec"'
! heard '"cert.rotated"\|"sdwan.credential_rotated"\|"subject":"first"'
result "nothing was replaced" $?
cp "$dir/next.pem" "$dir/new" && mv "$dir/new" "$dir/live.pem"
comes "one that is replaced" "\"cert.rotated\".*\"severity\":\"info\".*\"path\":\"$dir/live.pem\",\"subject\":\"second\".*\"fingerprint\":\"$(fingerprint "$dir/next.pem")\""
comes "by one that ends soon" '"cert.expiring".*"subject":"second"'
cp "$dir/root.pem" "$dir/new" && mv "$dir/new" "$dir/soon.pem"
comes "renewal" '"cert.expired".*"state":"recovered".*"subject":"root"'
cp "$dir/root.pem" "$store/7.pem"
comes "also in the store, in place" "\"cert.expiring\".*\"state\":\"recovered\",\"path\":\"$store/7.pem\""
touch -d '-23 hours -50 minutes' "$dir/psk"
comes "a file whose lifetime ends" '"sdwan.credential_expiring".*"name":"hub","kind":"wireguard_psk"'
printf 'another' >"$dir/psk.new" && mv "$dir/psk.new" "$dir/psk"
comes "it is replaced" '"sdwan.credential_rotated".*"severity":"info".*"name":"hub"'
comes "and lives again" '"sdwan.credential_expiring".*"state":"recovered","name":"hub"'
config sensors "  require_ack: false
$certificates
$(credentials 1d '1 day')"
kill -HUP "$beacon_pid"
comes "one whose end was put off" '"sdwan.credential_rotated".*"name":"ike"'
cat >"$dir/soon.pem" <"$dir/psk"
within status_has "^  certificate_expiry .*not measured: $dir/soon.pem: no certificate"
result "status shows what is not measured" $?
! grep -q 'secret\|another' "$dir/hub.log" "$dir/run.log"
result "no secret is told" $?
halt

# ---- a user of its own ----
if [ "$(id -u)" -eq 0 ]; then
    chmod 711 "$dir"
    chown nobody "$dir/key"
    cp "$dir/ca.pem" "$store/private.pem"
    chmod 600 "$store/private.pem"
    certificate "$store/8.pem" rsa "/CN=host 8" '3 days'
    run "  user: nobody
  certificate_expiry: {interval: 1s, paths: [$store]}"
    comes "as a user of its own" '"cert.expiring".*"subject":"host 8"'
    within status_has "^  certificate_expiry .*not measured: $store/private.pem: Permission denied"
    result "what it may not read is not measured" $?
    ! heard '"subject":"authority"'
    result "nor seen" $?
    halt
else
    echo "not counted: what a user of its own may not read, which takes root"
fi

finish
