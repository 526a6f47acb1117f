#!/usr/bin/env bash
# Fetches what the pages of the API's documentation are made of, into infra/docs/fetched, where the next
# build takes it in. A second run changes nothing. Nothing of a package is run. With --is-done it says by
# its exit code alone whether they are there.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
fetched=fetched
# The stamp is a copy of this list: any change of it fetches again.
cmp -s fetch.sh "$fetched/fetch.sh" && exit 0
[ "${1:-}" != --is-done ] || exit 1

fail() {
    printf 'docs: %s\n' "$@" >&2
    exit 1
}
command -v npm >/dev/null 2>&1 || fail "npm is missing; on Debian: apt-get install --no-install-recommends npm"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

take() { # take PACKAGE VERSION SHA512 FILE...
    local package=$1 version=$2 sum=$3 archive=$work/$1-$2.tgz
    shift 3
    echo "docs: $package $version, into infra/docs/$fetched"
    npm pack --silent --fetch-retries 5 --pack-destination "$work" "$package@$version" >/dev/null ||
        fail "npm could not fetch $package; try again: infra/docs/fetch.sh"
    echo "$sum  $archive" | sha512sum --check --status ||
        fail "$package $version is not the one that was pinned; it was not unpacked"
    tar --extract --gzip --file "$archive" --directory "$work/out" --strip-components 1 "${@/#/package/}"
}

mkdir "$work/out"
take swagger-ui-dist 5.35.0 \
    534eaba4cb56f55dd73c638179a993512af4674f63317e0826e00da44fc465b021c341bc0a0c2bcd4e18997927fe1d3008336c5dd19aad334d1c2dec53cc9551 \
    swagger-ui.css swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt
take redoc 2.5.4 \
    33a8d6846d6aa019c7e93166cc99ecb72099f3b1e6398fd4cc39bbf261e262284476557f61c4bda203a8d4d94496724c78bb32c4715edb215ce2c3631d3ac005 \
    bundles/redoc.standalone.js bundles/redoc.standalone.js.LICENSE.txt
mkdir -p "$fetched"
find "$work/out" -type f -exec cp {} "$fetched" \;
cp fetch.sh "$fetched/fetch.sh"
